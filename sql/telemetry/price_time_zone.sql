-- For telemetry.energy_cost, whose callers may not read the zones.

CREATE OR REPLACE FUNCTION telemetry.price_time_zone(p_meter_id text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT z.time_zone FROM telemetry.meter_zone AS z WHERE z.meter_id = p_meter_id;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.price_time_zone (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.price_time_zone (text) TO energy_bi;

COMMENT ON FUNCTION telemetry.price_time_zone (text) IS
'IANA name of the time zone of the weekly tariffs in a meter''s price zone; NULL for a meter that has not reported';
