/* test/upgrade/line_notify--1.0--1.0test1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION line_notify UPDATE TO '1.0test1'" to load this file. \quit

-- What a later release does when LINE accepts one more purpose.  For tests only,
-- never installed by make.
ALTER TYPE line_notify.use_case ADD VALUE 'test_purpose' AFTER 'outage';
