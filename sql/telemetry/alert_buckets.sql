-- The figures that alerts are judged by, in buckets. A bucket belongs as a whole to the meter that feeds the vehicle at its
-- start, as in bi.vehicle_efficiency_hourly. Rejected readings have no device of their own: their payload names it.

CREATE OR REPLACE FUNCTION telemetry.alert_buckets(
    p_rule_kind text, p_kind text, p_resolution text, p_start timestamptz, p_end timestamptz, p_device_ids text []
) RETURNS TABLE (
    device_id text,
    bucket timestamptz,
    kwh_ac double precision,
    kwh_dc double precision,
    readings bigint,
    meter_readings bigint,
    meter_interval interval,
    measure_sum double precision,
    measure_readings bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_vehicle_ids text[];
    v_meter_ids text[];
    v_from timestamptz[];
    v_until timestamptz[];
BEGIN
    IF p_rule_kind = 'readings_rejected' THEN
        RETURN QUERY
        SELECT r.device_id, r.bucket, NULL::double precision, NULL::double precision, count(*), NULL::bigint, NULL::interval,
            NULL::double precision, NULL::bigint
        FROM (
            SELECT
                telemetry.payload_device_id(j.payload) AS device_id,
                telemetry.quarter_of(j.received_at) AS bucket
            FROM telemetry.rejected_reading AS j
            WHERE j.received_at >= p_start AND j.received_at < p_end AND j.kind = p_kind AND NOT j.is_stored
        ) AS r
        WHERE r.device_id = ANY (p_device_ids) OR p_device_ids IS NULL AND r.device_id IS NOT NULL
        GROUP BY r.device_id, r.bucket;
    ELSIF p_rule_kind IN ('battery_hot', 'voltage_outside', 'data_incomplete') THEN
        RETURN QUERY
        SELECT
            b.device_id, b.bucket, NULL::double precision, NULL::double precision, sum(b.readings)::bigint, NULL::bigint,
            NULL::interval, sum(b.measure_sum), sum(b.measure_readings)::bigint
        FROM telemetry.sum_buckets(p_kind, p_resolution, p_start, p_end, p_device_ids) AS b
        GROUP BY b.device_id, b.bucket;
    ELSE
        SELECT array_agg(m.vehicle_id), array_agg(m.meter_id), array_agg(m.valid_from), array_agg(m.valid_until)
        INTO v_vehicle_ids, v_meter_ids, v_from, v_until
        FROM (
            SELECT f.vehicle_id, f.meter_id, f.valid_from, f.valid_until
            FROM telemetry.fleet_meters(p_start, p_end) AS f
            WHERE p_device_ids IS NULL
            UNION ALL
            SELECT l.vehicle_id, l.meter_id, l.valid_from, l.valid_until
            FROM bi.vehicle_meter AS l
            WHERE l.vehicle_id = ANY (p_device_ids) AND tstzrange(l.valid_from, l.valid_until) && tstzrange(p_start, p_end)
        ) AS m;
        RETURN QUERY
        SELECT
            s.device_id, s.bucket, sum(s.kwh_ac), sum(s.kwh_dc), sum(s.readings)::bigint, sum(s.meter_readings)::bigint,
            max(s.meter_interval), NULL::double precision, NULL::bigint
        FROM (
            SELECT
                v.device_id, v.bucket, NULL::double precision AS kwh_ac, v.kwh AS kwh_dc, v.readings,
                NULL::bigint AS meter_readings, NULL::interval AS meter_interval
            FROM telemetry.sum_buckets('vehicle', p_resolution, p_start, p_end, p_device_ids) AS v
            UNION ALL
            SELECT
                l.vehicle_id, m.bucket, m.kwh, NULL, NULL, m.readings,
                telemetry.expected_interval(p.expected_interval, c.observed_interval)
            FROM telemetry.sum_buckets(
                'meter', p_resolution, p_start, p_end, CASE WHEN p_device_ids IS NOT NULL THEN coalesce(v_meter_ids, '{}') END
            ) AS m
            JOIN unnest(v_vehicle_ids, v_meter_ids, v_from, v_until) AS l (vehicle_id, meter_id, valid_from, valid_until)
                ON
                    l.meter_id = m.device_id
                    AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
                    AND (l.valid_until IS NULL OR m.bucket < l.valid_until)
            LEFT JOIN telemetry.device_profile AS p ON p.kind = 'meter' AND p.device_id = m.device_id
            LEFT JOIN telemetry.meter_current_status AS c ON c.meter_id = m.device_id
        ) AS s
        GROUP BY s.device_id, s.bucket;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.alert_buckets (text, text, text, timestamptz, timestamptz, text []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.alert_buckets (text, text, text, timestamptz, timestamptz, text []) IS
'The figures of a kind of rule in the buckets (p_resolution: 15min, daily) of [p_start, p_end), of the devices of a kind (NULL: all that have any): AC and DC energy (kWh), readings (of the vehicle; rejected ones for readings_rejected), readings of its meter and their expected interval, sum and number of measured voltages (V) or battery temperatures (degrees Celsius)';
