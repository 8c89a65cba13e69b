-- One cheap scan of the fleet serves all rules with the same window. It finds each device with a fault in its newest window, and
-- a few that telemetry.judge_windows does not judge. Only these, and devices with an open alert, are judged.

CREATE OR REPLACE FUNCTION telemetry.find_suspects(p_at timestamptz)
RETURNS TABLE (rule_name text, kind text, device_id text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_scan record;
BEGIN
    FOR v_scan IN
        SELECT
            k.kind, r.window_length, r.kind IN ('efficiency_low', 'efficiency_impossible', 'standby_high') AS is_balance,
            array_agg(r) AS rules
        FROM ops.alert_rule AS r
        CROSS JOIN unnest(telemetry.alert_device_kinds(r.kind)) AS k (kind)
        WHERE r.enabled AND r.kind NOT IN ('charger_fading', 'device_silent', 'readings_rejected')
        GROUP BY 1, 2, 3
    LOOP
        IF v_scan.is_balance THEN
            RETURN QUERY
            SELECT r.name, v_scan.kind, b.vehicle_id
            FROM telemetry.fleet_balance(p_at - v_scan.window_length, p_at) AS b
            CROSS JOIN unnest(v_scan.rules) AS r
            WHERE telemetry.is_beyond(
                r.kind,
                telemetry.alert_value(r.kind, r.window_length, b.kwh_consumed_ac, b.kwh_delivered_dc, NULL, NULL, NULL, NULL),
                r.threshold, r.upper_threshold
            )
            AND (r.kind = 'standby_high' OR greatest(b.kwh_consumed_ac, b.kwh_delivered_dc) >= r.least);
        ELSE
            RETURN QUERY
            SELECT r.name, v_scan.kind, d.device_id
            FROM (
                SELECT
                    s.device_id, sum(s.readings)::double precision AS readings, sum(s.measure_sum) AS measure_sum,
                    sum(s.measure_readings)::double precision AS measure_readings
                FROM telemetry.sum_readings(v_scan.kind, p_at - v_scan.window_length, p_at) AS s
                GROUP BY s.device_id
            ) AS d
            LEFT JOIN telemetry.list_devices() AS i ON i.kind = v_scan.kind AND i.device_id = d.device_id
            CROSS JOIN unnest(v_scan.rules) AS r
            WHERE telemetry.is_beyond(
                r.kind,
                telemetry.alert_value(
                    r.kind, r.window_length, NULL, NULL, d.readings,
                    telemetry.expected_readings(r.window_length, i.expected_interval), d.measure_sum, d.measure_readings
                ),
                r.threshold, r.upper_threshold
            );
        END IF;
    END LOOP;

    RETURN QUERY
    SELECT r.name, k.kind, b.device_id
    FROM ops.alert_rule AS r
    CROSS JOIN unnest(telemetry.alert_device_kinds(r.kind)) AS k (kind)
    CROSS JOIN LATERAL telemetry.alert_buckets(r.kind, k.kind, '15min', p_at - r.window_length, p_at, NULL) AS b
    WHERE r.enabled AND r.kind = 'readings_rejected'
    GROUP BY r.name, k.kind, b.device_id, r.threshold
    HAVING sum(b.readings) >= r.threshold;

    -- weeks of days take seconds, so the vehicles take turns in the first 24 quarter hours of a day
    RETURN QUERY
    SELECT r.name, 'vehicle', d.device_id
    FROM ops.alert_rule AS r
    CROSS JOIN telemetry.fleet AS f
    CROSS JOIN LATERAL (
        SELECT t.midnight, extract(EPOCH FROM p_at - t.midnight)::integer / 900 AS turn
        FROM (SELECT date_trunc('day', p_at, f.time_zone) AS midnight) AS t
    ) AS n
    CROSS JOIN LATERAL telemetry.judge_days(r, n.midnight, n.midnight, ARRAY(
        SELECT v.vehicle_id
        FROM telemetry.vehicle_current_status AS v
        WHERE abs(hashtext(v.vehicle_id) % 24) = n.turn AND (r.device_ids IS NULL OR v.vehicle_id = ANY (r.device_ids))
    )) AS d
    WHERE r.enabled AND r.kind = 'charger_fading' AND n.turn < 24 AND d.is_fault;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.find_suspects (timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.find_suspects (timestamptz) IS
'The devices that may have a fault, by the enabled rules but those of silence, in the windows that end at p_at (the end of a quarter hour); by charger_fading, those of a 24th of the vehicles at the last midnight';
