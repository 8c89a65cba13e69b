-- Each window ends at the end of a quarter hour. Sums are numeric, so they are exact: the order of arrival cannot move a value
-- over a threshold. A window moves on without adding up all of it again. A window that is not complete enough to judge is
-- neither a fault nor the end of one. Energies need 90 % of the expected readings of both sides, means half of them. An idle
-- vehicle has no efficiency. A window shorter than the interval of a device holds no energy of its own. A device that is new,
-- back or silent is not incomplete. Without a declared interval, what it has lost is counted (telemetry.missing_readings).

CREATE OR REPLACE FUNCTION telemetry.judge_windows(
    p_rule ops.alert_rule, p_kind text, p_from timestamptz, p_until timestamptz, p_device_ids text [] DEFAULT NULL
) RETURNS TABLE (
    device_id text, judged_at timestamptz, is_fault boolean, value double precision, details jsonb
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_quarter CONSTANT interval := INTERVAL '15 minutes';
    v_quarters CONSTANT integer := extract(EPOCH FROM p_rule.window_length) / 900;
    v_most CONSTANT bigint := telemetry.expected_readings(p_rule.window_length, INTERVAL '1 minute');
    v_start CONSTANT timestamptz := p_from - p_rule.window_length
        * CASE p_rule.kind WHEN 'data_incomplete' THEN 2 ELSE 1 END;
BEGIN
    RETURN QUERY
    WITH bucket AS MATERIALIZED (
        SELECT b.* FROM telemetry.alert_buckets(p_rule.kind, p_kind, '15min', v_start, p_until, p_device_ids) AS b
    ),
    device AS MATERIALIZED (
        SELECT
            d.device_id, d.meter_interval, p_rule.kind = 'data_incomplete' AND p.expected_interval IS NULL AS is_counted,
            telemetry.expected_interval(p.expected_interval, coalesce(v.observed_interval, m.observed_interval)) AS own_interval
        FROM (
            SELECT k.device_id, max(k.meter_interval) AS meter_interval
            FROM (
                SELECT b.device_id, b.meter_interval FROM bucket AS b
                UNION ALL
                SELECT i.device_id, NULL FROM unnest(p_device_ids) AS i (device_id)
            ) AS k
            GROUP BY k.device_id
        ) AS d
        LEFT JOIN telemetry.device_profile AS p ON p.kind = p_kind AND p.device_id = d.device_id
        LEFT JOIN telemetry.vehicle_current_status AS v ON p_kind = 'vehicle' AND v.vehicle_id = d.device_id
        LEFT JOIN telemetry.meter_current_status AS m ON p_kind = 'meter' AND m.meter_id = d.device_id
    ),
    figure AS MATERIALIZED (
        SELECT
            d.device_id,
            t.bucket,
            t.bucket + v_quarter AS judged_at,
            d.is_counted,
            d.own_interval,
            greatest(d.own_interval, d.meter_interval) AS longest_interval,
            telemetry.expected_readings(p_rule.window_length, d.own_interval) AS expected_by_interval,
            telemetry.expected_readings(p_rule.window_length, d.meter_interval) AS meter_expected,
            (sum(b.kwh_ac::numeric) OVER w)::double precision AS kwh_ac,
            (sum(b.kwh_dc::numeric) OVER w)::double precision AS kwh_dc,
            coalesce(sum(b.readings) OVER w, 0) AS readings,
            coalesce(sum(b.meter_readings) OVER w, 0) AS meter_readings,
            (sum(b.measure_sum::numeric) OVER w)::double precision AS measure_sum,
            coalesce(sum(b.measure_readings) OVER w, 0) AS measure_readings,
            sum(b.readings) OVER (
                PARTITION BY d.device_id ORDER BY t.bucket ROWS BETWEEN 2 * v_quarters - 1 PRECEDING AND v_quarters PRECEDING
            ) > 0 AS is_known,
            max(t.bucket + v_quarter) FILTER (WHERE b.readings > 0) OVER (PARTITION BY d.device_id ORDER BY t.bucket) AS heard_at
        FROM device AS d
        CROSS JOIN generate_series(v_start, p_until - v_quarter, v_quarter) AS t (bucket)
        LEFT JOIN bucket AS b ON b.device_id = d.device_id AND b.bucket = t.bucket
        WINDOW w AS (PARTITION BY d.device_id ORDER BY t.bucket ROWS BETWEEN v_quarters - 1 PRECEDING AND CURRENT ROW)
    ),
    -- missing readings count once they are known, until their quarter hour or the first reading that shows them leaves the windows
    change AS MATERIALIZED (
        SELECT c.device_id, c.bucket, sum(c.readings)::bigint AS missing
        FROM telemetry.missing_readings(p_kind, v_start, p_until, ARRAY(
            SELECT DISTINCT f.device_id FROM figure AS f
            WHERE f.is_counted AND f.judged_at >= p_from AND f.readings < p_rule.threshold * v_most
        )) AS m
        CROSS JOIN LATERAL (
            VALUES
            (m.device_id, m.known_at, m.readings),
            (
                m.device_id, least(m.bucket + p_rule.window_length, m.known_since + 2 * p_rule.window_length),
                -m.readings
            )
        ) AS c (device_id, bucket, readings)
        WHERE m.known_at < least(m.bucket + p_rule.window_length, m.known_since + 2 * p_rule.window_length)
        GROUP BY c.device_id, c.bucket
    ),
    counted AS (
        SELECT
            f.*,
            CASE
                WHEN f.is_counted THEN least(
                    greatest(f.readings, 1)
                    + coalesce(sum(c.missing) OVER (PARTITION BY f.device_id ORDER BY f.bucket), 0),
                    v_most
                )
                ELSE f.expected_by_interval
            END AS expected
        FROM figure AS f
        LEFT JOIN change AS c ON c.device_id = f.device_id AND c.bucket = f.bucket
    ),
    judged AS (
        SELECT
            f.*,
            telemetry.alert_value(
                p_rule.kind, p_rule.window_length, f.kwh_ac, f.kwh_dc, f.readings::double precision, f.expected,
                f.measure_sum, f.measure_readings::double precision
            ) AS value,
            CASE
                WHEN p_rule.kind = 'readings_rejected' THEN TRUE
                WHEN f.is_counted THEN f.is_known AND f.readings >= greatest(p_rule.least, 1)
                WHEN f.longest_interval > p_rule.window_length * 1.25 THEN FALSE
                WHEN p_rule.kind = 'data_incomplete'
                    THEN f.is_known AND f.judged_at - f.heard_at <= f.own_interval AND f.readings >= p_rule.least
                WHEN p_rule.kind IN ('battery_hot', 'voltage_outside')
                    THEN f.measure_readings >= p_rule.least AND f.measure_readings >= 0.5 * f.expected
                ELSE
                    f.readings >= 0.9 * f.expected AND f.meter_readings >= 0.9 * f.meter_expected
                    AND CASE p_rule.kind
                        WHEN 'standby_high' THEN f.kwh_dc = 0 AND f.meter_readings >= p_rule.least
                        ELSE telemetry.efficiency_status(
                            f.kwh_ac, f.kwh_dc, p_rule.window_length, f.longest_interval, l.standby_kw
                        ) NOT IN ('unknown', 'idle')
                        AND CASE p_rule.kind WHEN 'efficiency_low' THEN f.kwh_ac ELSE greatest(f.kwh_ac, f.kwh_dc) END >= p_rule.least
                    END
            END AS is_judged
        FROM counted AS f
        CROSS JOIN telemetry.fleet AS l
        WHERE f.judged_at >= p_from
    ),
    verdict AS (
        SELECT
            j.*,
            CASE WHEN j.is_judged THEN telemetry.is_beyond(p_rule.kind, j.value, p_rule.threshold, p_rule.upper_threshold) END
                AS is_fault
        FROM judged AS j
    )
    SELECT
        v.device_id, v.judged_at, v.is_fault, v.value,
        CASE WHEN v.is_fault THEN jsonb_strip_nulls(CASE
            WHEN p_rule.kind IN ('efficiency_low', 'efficiency_impossible', 'standby_high') THEN jsonb_build_object(
                'kwh_consumed_ac', trim_scale(round(v.kwh_ac::numeric, 6)), 'kwh_delivered_dc', trim_scale(round(v.kwh_dc::numeric, 6)),
                'meter_readings', v.meter_readings, 'meter_readings_expected', v.meter_expected,
                'vehicle_readings', v.readings, 'vehicle_readings_expected', v.expected
            )
            WHEN p_rule.kind = 'readings_rejected' THEN jsonb_build_object('rejected_readings', v.readings)
            ELSE jsonb_build_object(
                'readings', v.readings, 'readings_expected', v.expected, 'measured_readings', nullif(v.measure_readings, 0)
            )
        END) END
    FROM verdict AS v;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.judge_windows (ops.alert_rule, text, timestamptz, timestamptz, text []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.judge_windows (ops.alert_rule, text, timestamptz, timestamptz, text []) IS
'Judges the windows of a rule that end from p_from to p_until (ends of quarter hours, included), of the devices of a kind (NULL: all that have readings): is_fault (NULL: not complete enough to judge), the value in the unit of the rule''s threshold, and the figures of a fault';
