-- The energy balance of a vehicle over a window, exact to the reading at both ends and at every change of its meter.

CREATE OR REPLACE FUNCTION api.get_vehicle_performance(
    p_vehicle_id text,
    p_start timestamptz DEFAULT NULL,
    p_end timestamptz DEFAULT NULL,
    p_hours double precision DEFAULT NULL
) RETURNS TABLE (
    vehicle_id text,
    period_start timestamptz,
    period_end timestamptz,
    total_energy_consumed_ac double precision,
    total_energy_delivered_dc double precision,
    efficiency_ratio double precision,
    efficiency_status text,
    avg_battery_temp double precision,
    meter_ids text [],
    meter_readings bigint,
    vehicle_readings bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_segment record;
    v_standby_kw CONSTANT double precision := (SELECT f.standby_kw FROM telemetry.fleet AS f);
    v_interval interval := telemetry.device_interval('vehicle', p_vehicle_id);
    v_kwh double precision;
    v_readings bigint;
BEGIN
    SELECT w.window_start, w.window_end INTO period_start, period_end
    FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w;

    PERFORM telemetry.require_vehicle(p_vehicle_id);

    SELECT sum(r.kwh), round((sum(r.measure_sum) / nullif(sum(r.measure_readings), 0))::numeric, 2)::double precision, coalesce(sum(r.readings), 0)
    INTO total_energy_delivered_dc, avg_battery_temp, vehicle_readings
    FROM telemetry.sum_readings('vehicle', period_start, period_end, p_vehicle_id) AS r;

    vehicle_id := p_vehicle_id;
    meter_ids := '{}';
    meter_readings := 0;
    FOR v_segment IN
        SELECT s.meter_id, s.segment_start, s.segment_end
        FROM telemetry.meter_segments(p_vehicle_id, period_start, period_end) AS s
    LOOP
        SELECT sum(r.kwh), sum(r.readings)
        INTO v_kwh, v_readings
        FROM telemetry.sum_readings('meter', v_segment.segment_start, v_segment.segment_end, v_segment.meter_id) AS r;

        IF v_readings > 0 THEN
            total_energy_consumed_ac := coalesce(total_energy_consumed_ac, 0) + v_kwh;
            meter_readings := meter_readings + v_readings;
            v_interval := greatest(v_interval, telemetry.device_interval('meter', v_segment.meter_id));
        END IF;
        IF v_segment.meter_id <> ALL (meter_ids) THEN
            meter_ids := meter_ids || v_segment.meter_id;
        END IF;
    END LOOP;

    efficiency_ratio := telemetry.efficiency_ratio(
        total_energy_consumed_ac, total_energy_delivered_dc, period_end - period_start, v_interval, v_standby_kw
    );
    efficiency_status := telemetry.efficiency_status(
        total_energy_consumed_ac, total_energy_delivered_dc, period_end - period_start, v_interval, v_standby_kw
    );
    -- nine decimals (a microwatt-hour) hide the last bits of the sums, and nothing that a meter measures
    total_energy_consumed_ac := round(total_energy_consumed_ac::numeric, 9)::double precision;
    total_energy_delivered_dc := round(total_energy_delivered_dc::numeric, 9)::double precision;
    RETURN NEXT;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.get_vehicle_performance (text, timestamptz, timestamptz, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_vehicle_performance (text, timestamptz, timestamptz, double precision) TO energy_service;

COMMENT ON FUNCTION api.get_vehicle_performance (text, timestamptz, timestamptz, double precision) IS
'The energy balance of a vehicle over the readings after period_start, up to and including period_end: AC consumed by its meters and DC delivered to it (kWh; NULL without a reading on that side), their ratio to 4 decimals, its status (telemetry.efficiency_status), mean battery temperature (degrees Celsius), the meters that fed it and the readings counted. The window: start and end, or one of them with hours, or the last 24 hours. Raises IE001 for an unknown vehicle, IE003 for an impossible window';
