-- A trigger on the links: the AC side of sessions follows them. The vehicle whose default meter is linked, or free
-- again, has another AC side, too. By the standard rule it has one of two ids (telemetry.standard_meter_id); a fleet's own
-- rule may name any.

CREATE OR REPLACE FUNCTION telemetry.note_changed_link() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF telemetry.has_own_meter_rule() THEN
        INSERT INTO telemetry.stale_session (during)
        SELECT range_agg(c.during) FROM (VALUES (old.during), (new.during)) AS c (during) WHERE c.during IS NOT NULL;
    ELSE
        INSERT INTO telemetry.stale_session (vehicle_id, during)
        SELECT v.vehicle_id, range_agg(c.during)
        FROM (VALUES (old.vehicle_id, old.meter_id, old.during), (new.vehicle_id, new.meter_id, new.during))
            AS c (vehicle_id, meter_id, during)
        CROSS JOIN LATERAL (VALUES (c.vehicle_id), (c.meter_id), ('V' || substr(c.meter_id, 2))) AS v (vehicle_id)
        WHERE c.during IS NOT NULL
        GROUP BY v.vehicle_id;
    END IF;
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_changed_link () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_changed_link () IS
'Adds the times of a changed link to telemetry.stale_session, for the vehicles whose AC side may change with it';
