-- A trigger on the current status. With its first reading, a meter becomes the default meter of a vehicle for all times
-- without a link. It may take the place of another one. The rule is asked once a statement, and only if a meter is new.

CREATE OR REPLACE FUNCTION telemetry.note_new_meters() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_is_own_rule boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN
        RETURN NULL;
    END IF;
    v_is_own_rule := telemetry.has_own_meter_rule();
    INSERT INTO telemetry.stale_session (vehicle_id, during)
    SELECT DISTINCT s.vehicle_id, '{(,)}'::tstzmultirange
    FROM telemetry.charging_session AS s
    WHERE v_is_own_rule OR s.vehicle_id IN (
        SELECT v.vehicle_id FROM changed AS c CROSS JOIN LATERAL (VALUES (c.meter_id), ('V' || substr(c.meter_id, 2))) AS v (vehicle_id)
    );
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_new_meters () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_new_meters () IS
'Trigger of telemetry.meter_current_status: adds the vehicles whose default meter a new meter may be, or a removed one was, to telemetry.stale_session';
