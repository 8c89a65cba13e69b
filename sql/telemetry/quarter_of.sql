-- Alerts are judged at the ends of quarter hours, the buckets of the aggregates. Inlined.

CREATE OR REPLACE FUNCTION telemetry.quarter_of(p_time timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin(INTERVAL '15 minutes', p_time, '2000-01-01Z');

REVOKE EXECUTE ON FUNCTION telemetry.quarter_of (timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.quarter_of (timestamptz) IS 'Start of the quarter hour of a time';
