-- A link also takes the meter from the vehicle that has it by the standard rule. A fleet with a rule of its own has that
-- vehicle judged by its new meter from the next quarter hour on.

CREATE OR REPLACE FUNCTION telemetry.note_changed_link() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    INSERT INTO telemetry.alert_recheck (kind, device_id, since)
    SELECT DISTINCT 'vehicle', v.vehicle_id, greatest(lower(l.during), now() - telemetry.alert_horizon())
    FROM (VALUES (old.vehicle_id, old.meter_id, old.during), (new.vehicle_id, new.meter_id, new.during))
        AS l (vehicle_id, meter_id, during)
    CROSS JOIN LATERAL (VALUES (l.vehicle_id), (l.meter_id), ('V' || substr(l.meter_id, 2))) AS v (vehicle_id)
    WHERE l.vehicle_id IS NOT NULL;
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_changed_link () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_changed_link () IS
'Trigger of telemetry.vehicle_meter_link: notes vehicles whose meter has changed, in telemetry.alert_recheck';
