-- Own times only: callers ask first for the quarter hours, the source of hours and days.

CREATE OR REPLACE FUNCTION telemetry.unheld_times(p_aggregate text, p_exact boolean) RETURNS tstzmultirange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT CASE
        WHEN p_exact THEN telemetry.enclosing_buckets(telemetry.unrefreshed_times(p_aggregate), split_part(p_aggregate, '_', 2))
        ELSE tstzmultirange(tstzrange(telemetry.held_until(p_aggregate), NULL))
    END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.unheld_times (text, boolean) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.unheld_times (text, boolean) IS
'The times for which the table of the aggregate bi.<p_aggregate> is empty, or (p_exact) may differ from its source';
