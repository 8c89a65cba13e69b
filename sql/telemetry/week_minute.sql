-- The clock of weekly tariffs. In local time, so an hour that comes twice has its price twice. One expression, inlined
-- by the planner.

CREATE OR REPLACE FUNCTION telemetry.week_minute(p_at timestamptz, p_time_zone text) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    extract(EPOCH FROM (p_at AT TIME ZONE p_time_zone) - date_trunc('week', p_at AT TIME ZONE p_time_zone)) / 60
)::integer;

REVOKE EXECUTE ON FUNCTION telemetry.week_minute (timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.week_minute (timestamptz, text) TO energy_bi;

COMMENT ON FUNCTION telemetry.week_minute (timestamptz, text) IS
'Minutes since Monday 00:00 on the clock of a time zone (IANA name), for a whole minute';
