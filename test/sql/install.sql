-- The extension installs into a schema of its own and nowhere else, and refuses
-- a schema that somebody made before it.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS line_notify CASCADE;
RESET client_min_messages;
-- 18 adds a context
\set SHOW_CONTEXT never
CREATE SCHEMA line_notify;
CREATE EXTENSION line_notify;
DROP SCHEMA line_notify;
CREATE EXTENSION line_notify;
SELECT extname, extversion, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'line_notify';
