-- Of a small fleet an overview is read up to this moment, what is not materialized with it. Of a large one that would be a
-- walk through a good part of the day's history, which has no index on the time: there it ends where the aggregates do.

CREATE OR REPLACE FUNCTION telemetry.is_small_fleet() RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT FROM telemetry.meter_current_status AS m OFFSET 1000)
        AND NOT EXISTS (SELECT FROM telemetry.vehicle_current_status AS v OFFSET 1000);
$$;

REVOKE EXECUTE ON FUNCTION telemetry.is_small_fleet () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.is_small_fleet () IS
'Whether the fleet has at most 1,000 meters and at most 1,000 vehicles';
