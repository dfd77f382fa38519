/* test/upgrade/line_notify--1.0--1.1test.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION line_notify UPDATE TO '1.1test'" to load this file. \quit

-- What a later release may do: columns that the library of 1.0 does not know,
-- also in the partitions that are there, and a table that is dumped.  For tests
-- only, never installed by make.
ALTER TABLE line_notify.outbox ADD COLUMN note text;
ALTER TABLE line_notify.history ADD COLUMN note text DEFAULT 'none';
CREATE TABLE line_notify.extra (id bigint PRIMARY KEY);
SELECT pg_catalog.pg_extension_config_dump('line_notify.extra', '');
