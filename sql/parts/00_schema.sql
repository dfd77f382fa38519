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
