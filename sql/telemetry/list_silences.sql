-- A silence is a gap in a device's own times, however late its readings come. The last one has no end yet. One that lasts when a
-- rule is changed is an alert from then on. EXECUTE: planned with its bounds as constants, so only the chunks of that time are
-- opened.

CREATE OR REPLACE FUNCTION telemetry.list_silences(
    p_rule ops.alert_rule, p_kind text, p_from timestamptz, p_now timestamptz, p_device_ids text []
) RETURNS SETOF telemetry.alert_span
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        $query$
            SELECT
                g.device_id, greatest(g.silent_at, $7), g.next_at, coalesce(g.next_at, $2),
                round((extract(EPOCH FROM coalesce(g.next_at, $2) - g.recorded_at) / extract(EPOCH FROM g.expected_interval)), 1)
                ::double precision,
                jsonb_build_object(
                    'silent_since', telemetry.format_utc(g.recorded_at),
                    'expected_interval_s', extract(EPOCH FROM g.expected_interval)
                )
            FROM (
                SELECT
                    r.device_id, r.recorded_at, d.expected_interval,
                    r.recorded_at + $3 * d.expected_interval + $4 AS silent_at,
                    lead(r.recorded_at) OVER (PARTITION BY r.device_id ORDER BY r.recorded_at) AS next_at
                FROM (
                    SELECT h.%1$I AS device_id, telemetry.recorded_at(h.counted_at) AS recorded_at
                    FROM telemetry.%2$I AS h
                    WHERE h.%1$I = ANY ($5) AND h.counted_at >= %3$L
                    UNION
                    SELECT i.device_id, telemetry.recorded_at((
                        SELECT max(h.counted_at) FROM telemetry.%2$I AS h
                        WHERE h.%1$I = i.device_id AND h.counted_at < %3$L AND h.counted_at >= %4$L
                    ))
                    FROM unnest($5) AS i (device_id)
                    UNION
                    SELECT n.device_id, n.recorded_at
                    FROM telemetry.list_devices() AS n
                    WHERE n.kind = $6 AND n.device_id = ANY ($5)
                ) AS r
                JOIN telemetry.list_devices() AS d ON d.kind = $6 AND d.device_id = r.device_id
            ) AS g
            WHERE
                telemetry.is_silent(g.recorded_at, g.expected_interval, coalesce(g.next_at, $2) - $4, $3)
                AND coalesce(g.next_at, 'infinity') > $1
        $query$,
        p_kind || '_id', p_kind || '_telemetry_history', telemetry.counted_at(p_from),
        telemetry.counted_at(p_from) - telemetry.alert_horizon()
    )
    USING
        p_from, p_now, p_rule.threshold, p_rule.open_after, p_device_ids, p_kind, p_rule.judged_from;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_silences (ops.alert_rule, text, timestamptz, timestamptz, text []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_silences (ops.alert_rule, text, timestamptz, timestamptz, text []) IS
'The silences (telemetry.is_silent, by the threshold and open_after of a rule) from the last reading before p_from on, of devices in use of a kind, as alerts';
