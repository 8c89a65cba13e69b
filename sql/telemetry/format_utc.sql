-- The format of times in texts for devices and people, whatever the session's time zone is.

CREATE OR REPLACE FUNCTION telemetry.format_utc(p_time timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN pg_catalog.isfinite(p_time)
            THEN pg_catalog.to_char(p_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        ELSE p_time::text
    END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.format_utc (timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.format_utc (timestamptz) IS 'A time as RFC 3339 in UTC with microseconds';
