-- Links change rarely and in several rows at once, so changes are serialized; readers do not wait. The exclusion
-- constraints of the table prevent overlaps in any case.

CREATE OR REPLACE FUNCTION api.link_vehicle(
    p_vehicle_id text, p_meter_id text, p_from timestamptz DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_from CONSTANT timestamptz := coalesce(p_from, now());
    v_begin timestamptz := v_from;
    v_other telemetry.vehicle_meter_link;
    v_earlier record;
BEGIN
    PERFORM
        telemetry.require_device_id('vehicleId', p_vehicle_id),
        telemetry.require_device_id('meterId', p_meter_id),
        telemetry.require_value('from', v_from BETWEEN '1970-01-01Z' AND '9999-01-01Z', 'from 1970 to 9999');
    LOCK TABLE telemetry.vehicle_meter_link IN SHARE ROW EXCLUSIVE MODE;

    -- the same link exists: nothing to cut
    IF EXISTS (
        SELECT FROM telemetry.vehicle_meter_link AS l
        WHERE
            l.vehicle_id = p_vehicle_id AND l.meter_id = p_meter_id
            AND l.during @> tstzrange(v_from, NULL)
    ) THEN
        RETURN;
    END IF;

    SELECT * INTO v_other
    FROM telemetry.vehicle_meter_link AS l
    WHERE l.meter_id = p_meter_id AND l.vehicle_id <> p_vehicle_id AND l.during && tstzrange(v_from, NULL)
    ORDER BY l.during
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'meterId % feeds vehicleId % from % until %', p_meter_id, v_other.vehicle_id,
            coalesce(telemetry.format_utc(lower(v_other.during)), 'always'),
            coalesce(telemetry.format_utc(upper(v_other.during)), 'further notice')
            USING ERRCODE = 'IE005';
    END IF;

    PERFORM telemetry.end_links(p_vehicle_id, v_from);
    -- the vehicle had this meter until then: that link is extended
    DELETE FROM telemetry.vehicle_meter_link AS l
    WHERE l.vehicle_id = p_vehicle_id AND l.meter_id = p_meter_id AND upper(l.during) = v_from
    RETURNING l.during INTO v_earlier;
    IF found THEN
        v_begin := lower(v_earlier.during);
    END IF;
    INSERT INTO telemetry.vehicle_meter_link (vehicle_id, meter_id, during)
    VALUES (p_vehicle_id, p_meter_id, tstzrange(v_begin, NULL));
END;
$$;

REVOKE EXECUTE ON FUNCTION api.link_vehicle (text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.link_vehicle (text, text, timestamptz) TO energy_service, energy_dba;

COMMENT ON FUNCTION api.link_vehicle (text, text, timestamptz) IS
'From p_from (now) on, until further notice, the meter feeds the vehicle; earlier statements about that time are replaced. Raises IE005 if the meter feeds another vehicle then, IE004 for an invalid id or time';
