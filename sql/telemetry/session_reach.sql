-- Up to this length, the time between two readings of a vehicle may be its interval; a longer one is a gap.

CREATE OR REPLACE FUNCTION telemetry.session_reach() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN INTERVAL '75 minutes';

REVOKE EXECUTE ON FUNCTION telemetry.session_reach () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.session_reach () IS
'Longest time between two readings of a vehicle that sessions take for an interval: an hour, and a quarter more for jitter';
