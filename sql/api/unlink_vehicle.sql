-- From then on the vehicle has its default meter again, if it has one.

CREATE OR REPLACE FUNCTION api.unlink_vehicle(p_vehicle_id text, p_from timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    LOCK TABLE telemetry.vehicle_meter_link IN SHARE ROW EXCLUSIVE MODE;
    IF NOT telemetry.end_links(p_vehicle_id, coalesce(p_from, now())) THEN
        RAISE EXCEPTION 'vehicle % has no link from % on', p_vehicle_id, telemetry.format_utc(coalesce(p_from, now()))
            USING ERRCODE = 'IE006';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.unlink_vehicle (text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.unlink_vehicle (text, timestamptz) TO energy_service, energy_dba;

COMMENT ON FUNCTION api.unlink_vehicle (text, timestamptz) IS
'From p_from (now) on the vehicle has no link: the one that holds then ends, later ones are removed. Raises IE006 if there are none';
