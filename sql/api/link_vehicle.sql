-- Links change rarely and in several rows at once, so changes are serialized; readers do not wait. The exclusion
-- constraints of the table prevent overlaps in any case. A meter that is replaced now is retired. Its next reading ends
-- that, so a meter that was only moved is missing for one interval.

CREATE OR REPLACE FUNCTION api.link_vehicle(
    p_vehicle_id text, p_meter_id text, p_from timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_from CONSTANT timestamptz := coalesce(p_from, now());
    v_during tstzrange;
    v_other telemetry.vehicle_meter_link;
    v_meters text [];
    v_times tstzrange [];
    v_replaced text;
BEGIN
    PERFORM api.await_standbys();
    PERFORM
        telemetry.require_device_id('vehicleId', p_vehicle_id),
        telemetry.require_device_id('meterId', p_meter_id),
        telemetry.require_value('from', v_from BETWEEN '1970-01-01Z' AND '9999-01-01Z', 'from 1970 to 9999'),
        telemetry.require_value('until', p_until > v_from AND p_until <= '9999-01-01Z', 'after from, and up to 9999');
    v_during := tstzrange(v_from, p_until);
    LOCK TABLE telemetry.vehicle_meter_link IN SHARE ROW EXCLUSIVE MODE;
    SELECT m.meter_id INTO v_replaced
    FROM bi.vehicle_meter AS m
    WHERE m.vehicle_id = p_vehicle_id AND m.meter_id <> p_meter_id AND tstzrange(m.valid_from, m.valid_until) @> now();

    SELECT * INTO v_other
    FROM telemetry.vehicle_meter_link AS l
    WHERE l.meter_id = p_meter_id AND l.vehicle_id <> p_vehicle_id AND l.during && v_during
    ORDER BY l.during
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'meterId % feeds vehicleId % from % until %', p_meter_id, v_other.vehicle_id,
            coalesce(telemetry.format_utc(lower(v_other.during)), 'always'),
            coalesce(telemetry.format_utc(upper(v_other.during)), 'further notice')
            USING ERRCODE = 'IE005';
    END IF;

    WITH replaced AS (
        DELETE FROM telemetry.vehicle_meter_link AS l
        WHERE
            l.vehicle_id = p_vehicle_id
            AND (l.during && v_during OR (l.during -|- v_during AND l.meter_id = p_meter_id))
        RETURNING l.meter_id, l.during
    )
    SELECT array_agg(r.meter_id), array_agg(r.during) INTO v_meters, v_times
    FROM replaced AS r;
    -- range_agg joins what the vehicle had of this meter just before and after
    INSERT INTO telemetry.vehicle_meter_link (vehicle_id, meter_id, during)
    SELECT p_vehicle_id, p.meter_id, unnest(range_agg(p.during))
    FROM (
        SELECT p_meter_id AS meter_id, v_during AS during
        UNION ALL
        SELECT r.meter_id, unnest(tstzmultirange(r.during) - tstzmultirange(v_during))
        FROM unnest(v_meters, v_times) AS r (meter_id, during)
    ) AS p
    GROUP BY p.meter_id;

    IF v_replaced IS NOT NULL AND NOT EXISTS (
        SELECT FROM telemetry.meter_vehicles(v_replaced) AS m WHERE tstzrange(m.valid_from, m.valid_until) @> now()
    ) THEN
        INSERT INTO telemetry.device_profile (kind, device_id, energy_kind, retired_at)
        SELECT 'meter', s.meter_id, 'interval', now()
        FROM telemetry.meter_current_status AS s
        WHERE s.meter_id = v_replaced
        ON CONFLICT (kind, device_id) DO UPDATE SET retired_at = excluded.retired_at, set_at = excluded.set_at;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.link_vehicle (text, text, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.link_vehicle (text, text, timestamptz, timestamptz) TO energy_service, energy_dba;

COMMENT ON FUNCTION api.link_vehicle (text, text, timestamptz, timestamptz) IS
'From p_from (now) until p_until (further notice) the meter feeds the vehicle; earlier statements about that time are replaced, those about other times stay. The meter that fed it is retired (until it reports again) if it feeds no vehicle now. Raises IE005 if the meter feeds another vehicle then, IE004 for an invalid id or time';
