-- Adds the efficiency of each day to a few vehicles. A day belongs to the meter that feeds the vehicle at its start, as
-- in bi.vehicle_efficiency_daily. That view would read the days of all meters for these few.

CREATE OR REPLACE FUNCTION telemetry.with_trend(p_vehicles jsonb, p_start timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_vehicle_ids CONSTANT text[] := ARRAY(SELECT e.value ->> 'vehicleId' FROM jsonb_array_elements(p_vehicles) AS e);
    v_meter_ids CONSTANT text[] := ARRAY(
        SELECT m.meter_id FROM bi.vehicle_meter AS m WHERE m.vehicle_id = ANY (v_vehicle_ids)
    );
    v_end CONSTANT timestamptz := (SELECT b.last_end FROM telemetry.resolve_buckets('daily', p_start, now()) AS b);
    v_result jsonb;
BEGIN
    WITH side AS (
        SELECT
            l.vehicle_id, m.bucket, m.kwh AS kwh_ac, NULL::double precision AS kwh_dc,
            telemetry.device_interval('meter', m.device_id) AS expected
        FROM bi.vehicle_meter AS l
        JOIN telemetry.list_buckets('meter', 'daily', p_start, v_end, v_meter_ids) AS m
            ON
                l.meter_id = m.device_id
                AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
                AND (l.valid_until IS NULL OR m.bucket < l.valid_until)
        WHERE l.vehicle_id = ANY (v_vehicle_ids)
        UNION ALL
        SELECT v.device_id, v.bucket, NULL, v.kwh, telemetry.device_interval('vehicle', v.device_id)
        FROM telemetry.list_buckets('vehicle', 'daily', p_start, v_end, v_vehicle_ids) AS v
    ),
    day AS (
        SELECT
            s.vehicle_id, s.bucket,
            telemetry.efficiency_ratio(
                sum(s.kwh_ac), sum(s.kwh_dc), telemetry.day_length(s.bucket), max(s.expected), max(f.standby_kw)
            ) AS ratio
        FROM side AS s
        CROSS JOIN telemetry.fleet AS f
        GROUP BY s.vehicle_id, s.bucket
    )
    SELECT coalesce(jsonb_agg(e.value || jsonb_build_object('trend', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'bucket', telemetry.format_utc(d.bucket), 'efficiencyRatio', d.ratio
        ) ORDER BY d.bucket), '[]')
        FROM day AS d
        WHERE d.vehicle_id = e.value ->> 'vehicleId'
    )) ORDER BY e.number), '[]')
    INTO v_result
    FROM jsonb_array_elements(p_vehicles) WITH ORDINALITY AS e (value, number);
    RETURN v_result;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.with_trend (jsonb, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.with_trend (jsonb, timestamptz) IS
'The JSON array p_vehicles; each of its objects (with a vehicleId) gets the efficiency of each day from p_start, a midnight, on as trend';
