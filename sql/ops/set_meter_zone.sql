-- A meter without a row is in zone default, so a fleet with one tariff sets no zones at all.

CREATE OR REPLACE FUNCTION ops.set_meter_zone(p_meter_id text, p_zone text DEFAULT 'default') RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
BEGIN
    PERFORM api.await_standbys();
    IF telemetry.check_device_id('meter', p_meter_id) IS NOT NULL THEN
        RAISE EXCEPTION '%', (telemetry.check_device_id('meter', p_meter_id)).detail
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM ops.price_zone AS z WHERE z.zone = p_zone) THEN
        RAISE EXCEPTION 'zone % is unknown', coalesce(p_zone, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'ops.set_price_zone makes a zone';
    END IF;
    INSERT INTO ops.meter_zone (meter_id, zone) VALUES (p_meter_id, p_zone)
    ON CONFLICT (meter_id) DO UPDATE SET zone = excluded.zone;
    RETURN p_zone;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_meter_zone (text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_meter_zone (text, text) TO energy_dba;

COMMENT ON FUNCTION ops.set_meter_zone (text, text) IS
'Puts a meter into a price zone, for all times, and returns the zone; prices of its own in another zone no longer count. Raises invalid_parameter_value for an id that is not allowed, and for an unknown zone';
