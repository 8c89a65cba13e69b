-- A trigger on the links: the AC side of sessions, and of what alerts judge, follows them. The vehicle whose default meter is
-- linked, or free again, has another AC side, too. By the standard rule it has one of two ids (telemetry.standard_meter_id).
-- A fleet's own rule may name any: then sessions of all vehicles are stale. Alerts judge that vehicle by its new meter from
-- the next quarter hour on.

CREATE OR REPLACE FUNCTION telemetry.note_changed_link() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    WITH changed AS (
        SELECT v.vehicle_id, range_agg(c.during) AS during
        FROM (VALUES (old.vehicle_id, old.meter_id, old.during), (new.vehicle_id, new.meter_id, new.during))
            AS c (vehicle_id, meter_id, during)
        CROSS JOIN LATERAL (VALUES (c.vehicle_id), (c.meter_id), ('V' || substr(c.meter_id, 2))) AS v (vehicle_id)
        WHERE c.during IS NOT NULL
        GROUP BY v.vehicle_id
    ),
    stale AS (
        INSERT INTO telemetry.stale_session (vehicle_id, during)
        SELECT c.vehicle_id, c.during FROM changed AS c WHERE NOT telemetry.has_own_meter_rule()
        UNION ALL
        SELECT NULL, range_agg(c.during) FROM changed AS c WHERE telemetry.has_own_meter_rule() HAVING count(*) > 0
    )
    INSERT INTO telemetry.alert_recheck (kind, device_id, since)
    SELECT 'vehicle', c.vehicle_id, greatest(lower(c.during), now() - telemetry.alert_horizon()) FROM changed AS c;
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_changed_link () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_changed_link () IS
'Trigger of telemetry.vehicle_meter_link: notes the times of a changed link in telemetry.stale_session, and in telemetry.alert_recheck, for the vehicles whose AC side may change with it';
