-- From then on the vehicle has its default meter again, if it has one.

CREATE OR REPLACE FUNCTION api.unlink_vehicle(p_vehicle_id text, p_from timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_from CONSTANT timestamptz := coalesce(p_from, now());
    v_removed boolean;
BEGIN
    PERFORM api.await_standbys();
    LOCK TABLE telemetry.vehicle_meter_link IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM telemetry.vehicle_meter_link AS l
    WHERE l.vehicle_id = p_vehicle_id AND lower(l.during) >= v_from;
    v_removed := found;
    UPDATE telemetry.vehicle_meter_link AS l
    SET during = tstzrange(lower(l.during), v_from)
    WHERE l.vehicle_id = p_vehicle_id AND l.during @> v_from;
    IF NOT (v_removed OR found) THEN
        RAISE EXCEPTION 'vehicle % has no link from % on', p_vehicle_id, telemetry.format_utc(v_from)
            USING ERRCODE = 'IE006';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.unlink_vehicle (text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.unlink_vehicle (text, timestamptz) TO energy_service, energy_dba;

COMMENT ON FUNCTION api.unlink_vehicle (text, timestamptz) IS
'From p_from (now) on the vehicle has no link: the one that holds then ends, later ones are removed. Raises IE006 if there are none';
