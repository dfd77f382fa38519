/* line_notify--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION line_notify" to load this file. \quit

-- Fails when somebody created the schema beforehand: nothing of ours may live
-- in a schema that another role controls.
CREATE SCHEMA line_notify;
COMMENT ON SCHEMA line_notify IS 'LINE notification messages: phone numbers, outbox, delivery';
GRANT USAGE ON SCHEMA line_notify TO PUBLIC;

--
-- 1. Phone numbers
--

--
-- 2. Use cases
--

--
-- 3. Content rules and builders
--

--
-- 4. Channels, credentials, grants
--

--
-- 5. Outbox, history
--

--
-- 6. Webhook
--

--
-- 7. Health, stats, workers
--

--
-- 8. Verbs
--

--
-- 9. Registration for dump
--
