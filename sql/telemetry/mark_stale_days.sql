-- An import reaches further back than the frequent refresh does, and need not wait for the night.

CREATE OR REPLACE FUNCTION telemetry.mark_stale_days(p_from timestamptz, p_until timestamptz) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    INSERT INTO telemetry.stale_day (day)
    SELECT (p_from AT TIME ZONE 'UTC')::date + d.number
    FROM generate_series(0, (p_until AT TIME ZONE 'UTC')::date - (p_from AT TIME ZONE 'UTC')::date) AS d (number);
$$;

REVOKE EXECUTE ON FUNCTION telemetry.mark_stale_days (timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.mark_stale_days (timestamptz, timestamptz) IS
'Notes the days (UTC) from p_from to p_until, both included, for ops.refresh_stale_days';
