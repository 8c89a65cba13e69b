-- For a small fleet an overview is exact up to this moment, with readings that are not yet materialized. For a large
-- one this would read much of the day's history, which has no index on the time. There it ends where the aggregates
-- end.

CREATE OR REPLACE FUNCTION telemetry.is_small_fleet() RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT FROM telemetry.meter_current_status AS m OFFSET 1000)
        AND NOT EXISTS (SELECT FROM telemetry.vehicle_current_status AS v OFFSET 1000);
$$;

REVOKE EXECUTE ON FUNCTION telemetry.is_small_fleet () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.is_small_fleet () IS
'True if the fleet has at most 1,000 meters and at most 1,000 vehicles';
