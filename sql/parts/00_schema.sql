/* line_notify--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION line_notify" to load this file. \quit

-- Fails when somebody created the schema beforehand: nothing of ours may live
-- in a schema that another role controls.
CREATE SCHEMA line_notify;
COMMENT ON SCHEMA line_notify IS 'LINE notification messages: phone numbers, outbox, delivery';
GRANT USAGE ON SCHEMA line_notify TO PUBLIC;

CREATE FUNCTION line_notify._shown(text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_shown';
COMMENT ON FUNCTION line_notify._shown(text) IS 'what a caller sent, for a message: as it is when it looks like a name, or ..., since it may be a number that stands in the wrong place';

-- PL/pgSQL with the rights of the function's owner, as SECURITY DEFINER would
-- give them, for functions that ask who called: _caller() tells them.
CREATE FUNCTION line_notify._call_handler() RETURNS language_handler
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_call_handler';
REVOKE ALL ON FUNCTION line_notify._call_handler() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._call_handler() IS 'handler of language line_notify_plpgsql: notes who calls, and becomes the owner of the function';
CREATE LANGUAGE line_notify_plpgsql HANDLER line_notify._call_handler;
COMMENT ON LANGUAGE line_notify_plpgsql IS 'PL/pgSQL with the rights of the function''s owner, for functions of line_notify that ask who called them';

CREATE FUNCTION line_notify._caller() RETURNS name
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'line_notify_caller';
REVOKE ALL ON FUNCTION line_notify._caller() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._caller() IS 'current user at the call of the function of language line_notify_plpgsql that runs';

CREATE FUNCTION line_notify._caller_is_superuser() RETURNS boolean
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'line_notify_caller_is_superuser';
REVOKE ALL ON FUNCTION line_notify._caller_is_superuser() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._caller_is_superuser() IS 'is that role a superuser';
