-- A trigger on the current status. With its first reading, a meter becomes the default meter of a vehicle for all times
-- without a link. It may take the place of another one.

CREATE OR REPLACE FUNCTION telemetry.note_new_meter() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_meter_id CONSTANT text := CASE WHEN tg_op = 'DELETE' THEN old.meter_id ELSE new.meter_id END;
BEGIN
    INSERT INTO telemetry.stale_session (vehicle_id, during)
    SELECT DISTINCT s.vehicle_id, '{(,)}'::tstzmultirange
    FROM telemetry.charging_session AS s
    WHERE s.vehicle_id IN (v_meter_id, 'V' || substr(v_meter_id, 2)) OR telemetry.has_own_meter_rule();
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_new_meter () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_new_meter () IS
'Adds the vehicles whose default meter a new meter may be, or a removed one was, to telemetry.stale_session';
