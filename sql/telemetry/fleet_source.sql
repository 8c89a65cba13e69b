-- Where what is shown of the whole fleet is read: see telemetry.is_small_fleet.

CREATE OR REPLACE FUNCTION telemetry.fleet_source(p_aggregate text) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT CASE
        WHEN telemetry.is_small_fleet() THEN ('bi.' || p_aggregate)::regclass
        ELSE telemetry.aggregate_table(p_aggregate)
    END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_source (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fleet_source (text) IS
'Of a small fleet the aggregate bi.<p_aggregate> up to this moment, of a large one the table of what is materialized of it; their columns are the same';
