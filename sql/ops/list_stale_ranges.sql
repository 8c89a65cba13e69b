-- With the rights of the owner, as readers of bi may not read TimescaleDB's logs.

CREATE OR REPLACE FUNCTION ops.list_stale_ranges()
RETURNS TABLE (aggregate text, range_start timestamptz, range_end timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
    SELECT p.object, lower(t.span), upper(t.span)
    FROM ops.policy AS p
    CROSS JOIN LATERAL unnest(telemetry.stale_times(substr(p.object, 4))) AS t (span)
    WHERE p.object LIKE 'bi.%';
$$;

REVOKE EXECUTE ON FUNCTION ops.list_stale_ranges () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.list_stale_ranges () TO energy_dba, energy_bi;

COMMENT ON FUNCTION ops.list_stale_ranges () IS 'The rows of bi.stale_range';
