
-- A worker for this database starts when the transaction commits.
CREATE FUNCTION line_notify._wake() RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_wake';
REVOKE ALL ON FUNCTION line_notify._wake() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._wake() IS 'at commit, starts or wakes the worker of this database';
SELECT line_notify._wake();
