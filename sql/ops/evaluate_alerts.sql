-- Runs every minute. A quarter hour is judged 2 minutes after its end, once, in one scan of the fleet that finds suspects.
-- Exactly judged are these, devices with an open alert, and devices whose past has changed, these from that time on. Two
-- evaluations take turns. The rows of telemetry.alert_recheck go before anything is read, so none is lost.

CREATE OR REPLACE FUNCTION ops.evaluate_alerts(p_now timestamptz DEFAULT now()) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_judged timestamptz;
    v_until timestamptz := telemetry.quarter_of(p_now - INTERVAL '2 minutes');
    v_point timestamptz;
    v_first timestamptz;
    v_kinds text[];
    v_ids text[];
    v_since timestamptz[];
    v_rules text[];
    v_more record;
    v_due record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ops.evaluate_alerts', 0));
    SELECT f.alerts_judged_until INTO v_judged FROM telemetry.fleet AS f;
    v_until := greatest(v_until, v_judged);

    WITH taken AS (
        DELETE FROM telemetry.alert_recheck AS c RETURNING c.kind, c.device_id, c.since
    )
    SELECT array_agg(t.kind), array_agg(t.device_id), array_agg(t.since) INTO v_kinds, v_ids, v_since
    FROM (SELECT t.kind, t.device_id, min(t.since) AS since FROM taken AS t GROUP BY t.kind, t.device_id) AS t;
    -- a reading of a meter changes the balance of the vehicle that it fed
    IF 'meter' = ANY (v_kinds) THEN
        SELECT
            v_kinds || array_agg('vehicle'::text), v_ids || array_agg(m.vehicle_id), v_since || array_agg(c.since)
        INTO v_kinds, v_ids, v_since
        FROM unnest(v_kinds, v_ids, v_since) AS c (kind, device_id, since)
        JOIN telemetry.fleet_meters((SELECT min(s.since) FROM unnest(v_since) AS s (since)), greatest(p_now, v_until)) AS m
            ON m.meter_id = c.device_id AND coalesce(m.valid_until > c.since, TRUE)
        WHERE c.kind = 'meter';
    END IF;
    -- of all rules
    v_rules := array_fill(NULL::text, ARRAY[coalesce(cardinality(v_ids), 0)]);

    -- the newest quarter hour at first, and after an outage of the job those of a day at most
    v_first := CASE
        WHEN v_judged IS NULL THEN v_until
        ELSE greatest(v_judged + INTERVAL '15 minutes', v_until - INTERVAL '1 day')
    END;
    FOR v_point IN
        SELECT t.point
        FROM generate_series(v_first, v_until, INTERVAL '15 minutes') AS t (point)
    LOOP
        SELECT array_agg(s.rule_name) AS rules, array_agg(s.kind) AS kinds, array_agg(s.device_id) AS ids INTO v_more
        FROM telemetry.find_suspects(v_point) AS s;
        v_rules := v_rules || v_more.rules;
        v_kinds := v_kinds || v_more.kinds;
        v_ids := v_ids || v_more.ids;
        v_since := v_since || array_fill(v_point, ARRAY[coalesce(cardinality(v_more.ids), 0)]);
    END LOOP;

    PERFORM telemetry.close_alerts(p_now);

    FOR v_due IN
        SELECT
            r AS rule, d.kind,
            -- the time from which they are judged, and the devices of which it is near that
            telemetry.quarter_of(min(d.since) + INTERVAL '15 minutes' - INTERVAL '1 microsecond') AS judged_from,
            array_agg(d.device_id) AS device_ids
        FROM ops.alert_rule AS r
        JOIN (
            SELECT u.name, u.kind, u.device_id, min(u.since) AS since
            FROM (
                SELECT
                    r.name, c.kind, c.device_id,
                    CASE
                        WHEN r.kind = 'charger_fading' AND c.rule_name IS NOT NULL THEN date_trunc('day', c.since, f.time_zone)
                        ELSE c.since
                    END AS since
                FROM unnest(v_rules, v_kinds, v_ids, v_since) AS c (rule_name, kind, device_id, since)
                CROSS JOIN telemetry.fleet AS f
                JOIN ops.alert_rule AS r
                    ON r.name = c.rule_name OR c.rule_name IS NULL AND c.kind = ANY (telemetry.alert_device_kinds(r.kind))
                UNION ALL
                SELECT a.rule_name, a.kind, a.device_id, v_first
                FROM telemetry.alert AS a
                WHERE a.closed_at IS NULL AND v_first <= v_until
                UNION ALL
                SELECT s.rule_name, s.kind, s.device_id, s.since FROM telemetry.find_silence_changes(p_now) AS s
            ) AS u
            WHERE NOT EXISTS (
                SELECT FROM telemetry.list_retired() AS t WHERE t.kind = u.kind AND t.device_id = u.device_id
            )
            GROUP BY u.name, u.kind, u.device_id
        ) AS d ON d.name = r.name AND (r.device_ids IS NULL OR d.device_id = ANY (r.device_ids))
        WHERE r.enabled
        GROUP BY r.name, r, d.kind, date_bin(INTERVAL '6 hours', d.since, '2000-01-01Z')
        ORDER BY r.name, d.kind, 3
    LOOP
        PERFORM telemetry.settle_alerts(
            v_due.rule, v_due.kind, v_due.device_ids, v_due.judged_from, v_until, p_now
        );
    END LOOP;
    UPDATE telemetry.fleet AS f SET alerts_judged_until = v_until WHERE f.alerts_judged_until IS DISTINCT FROM v_until;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.evaluate_alerts (timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.evaluate_alerts (timestamptz) TO energy_dba;

COMMENT ON FUNCTION ops.evaluate_alerts (timestamptz) IS
'Opens, updates and closes the alerts of telemetry.alert by the rules of ops.alert_rule, as of p_now: the quarter hours that ended since its last run (at most a day of them), all that late readings have changed since, and silences';
