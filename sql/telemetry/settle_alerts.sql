-- Brings telemetry.alert in line with the alerts that the data shows. Those that overlap are the same one: it keeps its
-- number and its acknowledgement. What the data does not show was disproved. What closed for another reason stays as it is, and
-- what lasts beyond that is another alert. A rule says nothing of the time before it was changed, nor of its alerts of then.
-- Closing goes before opening, as a device has one open alert of a rule at most.

CREATE OR REPLACE FUNCTION telemetry.settle_alerts(
    p_rule ops.alert_rule, p_kind text, p_device_ids text [], p_from timestamptz, p_until timestamptz,
    p_now timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
DECLARE
    v_disproved CONSTANT text := 'disproved by later data';
    v_recovered CONSTANT text := 'recovered';
    v_from CONSTANT timestamptz := CASE p_rule.kind
        WHEN 'device_silent' THEN greatest(p_from, p_rule.judged_from)
        ELSE telemetry.quarter_of(greatest(p_from, p_rule.judged_from + INTERVAL '15 minutes' - INTERVAL '1 microsecond'))
    END;
    v_stored CONSTANT telemetry.alert[] := ARRAY(
        SELECT a
        FROM telemetry.alert AS a
        WHERE a.rule_name = p_rule.name AND a.kind = p_kind AND a.device_id = ANY (p_device_ids)
            AND (a.closed_at IS NULL OR a.closed_at >= v_from) AND a.close_reason IS DISTINCT FROM v_disproved
    );
    v_spans telemetry.alert_span[];
    v_ids bigint[];
BEGIN
    IF p_rule.kind = 'device_silent' THEN
        v_spans := ARRAY(SELECT s FROM telemetry.list_silences(p_rule, p_kind, v_from, p_now, p_device_ids) AS s);
    ELSE
        v_spans := ARRAY(
            SELECT s
            FROM telemetry.list_alert_spans(p_rule, p_kind, v_from, p_until, p_device_ids, ARRAY(
                SELECT a.device_id FROM unnest(v_stored) AS a
                WHERE a.opened_at < v_from AND coalesce(a.close_reason, v_recovered) = v_recovered
            )) AS s
        );
    END IF;

    -- the number of the stored alert of each span
    v_ids := ARRAY(
        SELECT m.id
        FROM generate_subscripts(v_spans, 1) AS i (place)
        LEFT JOIN (
            SELECT DISTINCT ON (p.id) p.id, p.place
            FROM (
                SELECT DISTINCT ON (s.place) s.place, a.id
                FROM unnest(v_spans) WITH ORDINALITY AS s (device_id, opened_at, closed_at, last_seen_at, value, details, place)
                JOIN unnest(v_stored) AS a
                    ON
                        a.device_id = s.device_id
                        AND a.opened_at < coalesce(s.closed_at, 'infinity')
                        AND coalesce(a.closed_at, 'infinity') > coalesce(s.opened_at, '-infinity')
                        AND (s.closed_at IS NOT NULL OR coalesce(a.close_reason, v_recovered) = v_recovered)
                ORDER BY s.place, a.id
            ) AS p
            ORDER BY p.id, p.place
        ) AS m ON m.place = i.place
        ORDER BY i.place
    );

    UPDATE telemetry.alert AS a
    SET
        closed_at = coalesce(a.closed_at, greatest(p_until, a.opened_at)),
        close_reason = v_disproved,
        energy_lost_kwh = 0 * a.energy_lost_kwh
    FROM unnest(v_stored) AS s
    LEFT JOIN unnest(v_ids) AS k (id) ON k.id = s.id
    WHERE a.id = s.id AND k.id IS NULL AND coalesce(a.close_reason, v_recovered) = v_recovered;

    FOR v_opens IN 0..1 LOOP
        UPDATE telemetry.alert AS a
        SET
            opened_at = CASE WHEN s.opened_at > p_rule.judged_from THEN s.opened_at ELSE least(s.opened_at, a.opened_at) END,
            last_seen_at = coalesce(s.last_seen_at, least(a.last_seen_at, v_from)),
            closed_at = s.closed_at,
            close_reason = CASE WHEN s.closed_at IS NOT NULL THEN v_recovered END,
            severity = p_rule.severity,
            threshold = CASE WHEN s.last_seen_at IS NULL THEN a.threshold ELSE t.threshold END,
            value = CASE WHEN s.last_seen_at IS NULL THEN a.value ELSE s.value END,
            details = CASE WHEN s.last_seen_at IS NULL THEN a.details ELSE s.details END,
            reason = CASE WHEN s.last_seen_at IS NULL THEN a.reason ELSE telemetry.describe_alert(p_rule, s.value, s.details) END
        FROM unnest(v_spans, v_ids) AS s (device_id, opened_at, closed_at, last_seen_at, value, details, id)
        CROSS JOIN LATERAL (
            SELECT CASE WHEN s.value > p_rule.upper_threshold THEN p_rule.upper_threshold ELSE p_rule.threshold END AS threshold
        ) AS t
        WHERE
            a.id = s.id AND (s.closed_at IS NULL) = (v_opens = 1) AND coalesce(a.close_reason, v_recovered) = v_recovered
            AND (
                CASE WHEN s.opened_at > p_rule.judged_from THEN s.opened_at ELSE least(s.opened_at, a.opened_at) END, s.closed_at,
                coalesce(s.last_seen_at, least(a.last_seen_at, v_from)),
                CASE WHEN s.last_seen_at IS NULL THEN a.value ELSE s.value END
            ) IS DISTINCT FROM (a.opened_at, a.closed_at, a.last_seen_at, a.value);
    END LOOP;

    INSERT INTO telemetry.alert (
        rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, closed_at, close_reason, value, threshold,
        reason, details
    )
    SELECT
        p_rule.name, p_rule.kind, p_kind, s.device_id, p_rule.severity, s.opened_at, s.last_seen_at, s.closed_at,
        CASE WHEN s.closed_at IS NOT NULL THEN v_recovered END, s.value,
        CASE WHEN s.value > p_rule.upper_threshold THEN p_rule.upper_threshold ELSE p_rule.threshold END,
        telemetry.describe_alert(p_rule, s.value, s.details), s.details
    FROM unnest(v_spans, v_ids) AS s (device_id, opened_at, closed_at, last_seen_at, value, details, id)
    WHERE s.id IS NULL AND s.opened_at IS NOT NULL
    ORDER BY s.opened_at, s.device_id;

    IF p_rule.kind = 'efficiency_low' THEN
        UPDATE telemetry.alert AS a
        SET energy_lost_kwh = e.kwh
        FROM (
            SELECT
                array_agg(i.id ORDER BY i.id) AS ids,
                array_agg(i.device_id ORDER BY i.id) AS vehicle_ids,
                array_agg(i.opened_at - p_rule.window_length ORDER BY i.id) AS starts,
                array_agg(i.last_seen_at ORDER BY i.id) AS ends
            FROM telemetry.alert AS i
            WHERE i.rule_name = p_rule.name AND i.kind = p_kind AND i.device_id = ANY (p_device_ids)
                AND i.last_seen_at >= v_from AND i.close_reason IS DISTINCT FROM v_disproved
        ) AS n
        CROSS JOIN LATERAL telemetry.energy_lost(n.vehicle_ids, n.starts, n.ends, p_rule.threshold) AS e
        WHERE a.id = n.ids[e.place] AND a.energy_lost_kwh IS DISTINCT FROM e.kwh;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.settle_alerts (
    ops.alert_rule, text, text [], timestamptz, timestamptz, timestamptz
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.settle_alerts (ops.alert_rule, text, text [], timestamptz, timestamptz, timestamptz) IS
'Makes the alerts of a rule in telemetry.alert those of the data, for devices of a kind and windows that end from p_from to p_until (silences: from p_from to p_now)';
