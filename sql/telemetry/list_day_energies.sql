-- The figures of the fleet's overview (api.get_fleet_overview), one device a row: its energy of the last 24 hours, and of a
-- vehicle its efficiency.

CREATE OR REPLACE FUNCTION telemetry.list_day_energies(p_kind text) RETURNS TABLE (
    kind text, device_id text, kwh double precision, efficiency_ratio double precision, efficiency_status text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_is_exact CONSTANT boolean := telemetry.is_small_fleet();
    v_start timestamptz;
    v_end timestamptz;
BEGIN
    SELECT r.period_start, r.period_end INTO v_start, v_end FROM telemetry.recent_day(v_is_exact) AS r;
    IF p_kind IS DISTINCT FROM 'vehicle' THEN
        RETURN QUERY
        SELECT 'meter', m.device_id, sum(m.kwh), NULL::double precision, NULL::text
        FROM telemetry.sum_fleet('meter', v_start, v_end, v_end, v_is_exact) AS m
        WHERE m.device_id IS NOT NULL
        GROUP BY m.device_id;
    END IF;
    IF p_kind IS DISTINCT FROM 'meter' THEN
        RETURN QUERY
        SELECT
            'vehicle', v.vehicle_id, v.kwh_delivered_dc,
            telemetry.efficiency_ratio(v.kwh_consumed_ac, v.kwh_delivered_dc, v_end - v_start, v.expected_interval, f.standby_kw),
            telemetry.efficiency_status(v.kwh_consumed_ac, v.kwh_delivered_dc, v_end - v_start, v.expected_interval, f.standby_kw)
        FROM telemetry.fleet_sums(v_start, v_end, v_end, v_is_exact) AS v
        CROSS JOIN telemetry.fleet AS f
        WHERE v.vehicle_id IS NOT NULL;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_day_energies (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_day_energies (text) IS
'The energy (kWh: AC of a meter, DC of a vehicle) of the devices of a kind (NULL: of both) with a reading in telemetry.recent_day, and of a vehicle its efficiency (telemetry.efficiency_ratio) and status';
