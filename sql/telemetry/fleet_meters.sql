-- bi.vehicle_meter of a window, for a whole fleet at once. That view calls telemetry.default_meter_id once for each
-- vehicle, a second for 10,000. Here it is called only for vehicles with a link in part of the window, or where a fleet
-- has its own rule. The standard rule (telemetry.standard_meter_id) is a join.

CREATE OR REPLACE FUNCTION telemetry.fleet_meters(p_start timestamptz, p_end timestamptz)
RETURNS TABLE (vehicle_id text, meter_id text, valid_from timestamptz, valid_until timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_window CONSTANT tstzrange := tstzrange(p_start, p_end);
    v_is_join CONSTANT boolean := NOT telemetry.has_own_meter_rule();
    v_vehicle_ids text[];
BEGIN
    RETURN QUERY
    SELECT l.vehicle_id, l.meter_id, lower(l.during), upper(l.during)
    FROM telemetry.vehicle_meter_link AS l
    WHERE l.during && v_window;

    IF v_is_join THEN
        RETURN QUERY
        SELECT v.vehicle_id, d.meter_id, NULL::timestamptz, NULL::timestamptz
        FROM telemetry.vehicle_current_status AS v
        LEFT JOIN telemetry.meter_current_status AS same ON same.meter_id = v.vehicle_id
        LEFT JOIN telemetry.meter_current_status AS other
            ON other.meter_id = 'M' || substr(v.vehicle_id, 2) AND v.vehicle_id LIKE 'V%'
        CROSS JOIN LATERAL (SELECT coalesce(same.meter_id, other.meter_id) AS meter_id) AS d
        WHERE
            d.meter_id IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.vehicle_id = v.vehicle_id AND l.during && v_window
            )
            AND NOT EXISTS (
                SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.meter_id = d.meter_id AND l.during && v_window
            );
    END IF;

    -- with links for a part of the window, or with a default meter that may be linked to another vehicle
    v_vehicle_ids := ARRAY(
        SELECT v.vehicle_id
        FROM (
            SELECT s.vehicle_id FROM telemetry.vehicle_current_status AS s
            UNION
            SELECT l.vehicle_id FROM telemetry.vehicle_meter_link AS l
        ) AS v
        WHERE
            NOT EXISTS (
                SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.vehicle_id = v.vehicle_id AND l.during @> v_window
            )
            AND (
                NOT v_is_join
                OR EXISTS (
                    SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.vehicle_id = v.vehicle_id
                )
                OR EXISTS (
                    SELECT FROM telemetry.vehicle_meter_link AS l
                    WHERE
                        l.during && v_window
                        AND l.meter_id IN (v.vehicle_id, 'M' || substr(v.vehicle_id, 2))
                )
            )
    );
    RETURN QUERY
    SELECT m.vehicle_id, m.meter_id, m.valid_from, m.valid_until
    FROM bi.vehicle_meter AS m
    WHERE
        m.vehicle_id = ANY (v_vehicle_ids)
        AND m.origin = 'default'
        AND tstzrange(m.valid_from, m.valid_until) && v_window
        -- not those of the join
        AND (
            NOT v_is_join
            OR EXISTS (
                SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.vehicle_id = m.vehicle_id AND l.during && v_window
            )
            OR EXISTS (
                SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.meter_id = m.meter_id AND l.during && v_window
            )
            OR NOT EXISTS (SELECT FROM telemetry.vehicle_current_status AS s WHERE s.vehicle_id = m.vehicle_id)
        );
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_meters (timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fleet_meters (timestamptz, timestamptz) IS
'The meters that feed vehicles at times of [p_start, p_end), as in bi.vehicle_meter';
