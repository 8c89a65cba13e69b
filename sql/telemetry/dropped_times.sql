-- The rows of telemetry.dropped_time as one value, empty without a row.

CREATE OR REPLACE FUNCTION telemetry.dropped_times(p_source text) RETURNS tstzmultirange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT coalesce((SELECT d.times FROM telemetry.dropped_time AS d WHERE d.source = p_source), '{}');
$$;

REVOKE EXECUTE ON FUNCTION telemetry.dropped_times (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.dropped_times (text) IS
'The dropped times of p_source, a history or aggregate with its schema';
