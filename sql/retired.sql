-- Functions that the code has no longer. They go in the transaction that replaces what called them, so that no moment is
-- without either; CASCADE is not needed, and would hide a mistake.

DROP FUNCTION IF EXISTS telemetry.raw_retention();
DROP FUNCTION IF EXISTS ops.add_refresh_policies(regclass, interval, interval, interval, interval);
