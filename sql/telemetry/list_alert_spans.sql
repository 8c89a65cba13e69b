-- An alert opens if each judgement of open_after finds the fault, and closes if none of close_after does. Between the two it
-- stays as it is. So an alert is a function of the data, and looks back no further than these times.

CREATE OR REPLACE FUNCTION telemetry.list_alert_spans(
    p_rule ops.alert_rule, p_kind text, p_from timestamptz, p_until timestamptz,
    p_device_ids text [] DEFAULT NULL, p_open_ids text [] DEFAULT '{}'
) RETURNS SETOF telemetry.alert_span
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
DECLARE
    v_step CONSTANT interval := CASE p_rule.kind WHEN 'charger_fading' THEN INTERVAL '1 day' ELSE INTERVAL '15 minutes' END;
    v_open CONSTANT integer := ceil(extract(EPOCH FROM p_rule.open_after) / extract(EPOCH FROM v_step));
    v_close CONSTANT integer := ceil(extract(EPOCH FROM p_rule.close_after) / extract(EPOCH FROM v_step));
    v_first CONSTANT timestamptz := p_from - greatest(v_open, v_close) * v_step;
BEGIN
    RETURN QUERY
    WITH judged AS MATERIALIZED (
        SELECT j.*
        FROM (
            SELECT w.*
            FROM telemetry.judge_windows(p_rule, p_kind, v_first, p_until, p_device_ids) AS w
            WHERE p_rule.kind <> 'charger_fading'
            UNION ALL
            SELECT d.*
            FROM telemetry.judge_days(p_rule, v_first, p_until, p_device_ids) AS d
            WHERE p_rule.kind = 'charger_fading'
        ) AS j
        WHERE j.judged_at >= p_rule.judged_from
    ),
    signal AS (
        SELECT
            j.device_id, j.judged_at,
            bool_and(coalesce(j.is_fault, FALSE)) OVER opening AND count(*) OVER opening > v_open AS opens,
            bool_and(coalesce(NOT j.is_fault, FALSE)) OVER closing AND count(*) OVER closing > v_close AS closes
        FROM judged AS j
        WINDOW
            opening AS (PARTITION BY j.device_id ORDER BY j.judged_at ROWS BETWEEN v_open PRECEDING AND CURRENT ROW),
            closing AS (PARTITION BY j.device_id ORDER BY j.judged_at ROWS BETWEEN v_close PRECEDING AND CURRENT ROW)
    ),
    turn AS (
        SELECT t.device_id, t.judged_at, t.opens
        FROM (
            SELECT s.*, lag(s.opens) OVER (PARTITION BY s.device_id ORDER BY s.judged_at) AS was_open
            FROM (
                SELECT s.device_id, s.judged_at, s.opens FROM signal AS s WHERE s.judged_at >= p_from AND (s.opens OR s.closes)
                UNION ALL
                SELECT o.device_id, '-infinity', TRUE FROM unnest(p_open_ids) AS o (device_id)
            ) AS s
        ) AS t
        WHERE t.opens IS DISTINCT FROM coalesce(t.was_open, FALSE)
    ),
    span AS (
        SELECT
            t.device_id, t.judged_at AS opened_at, t.opens,
            lead(t.judged_at) OVER (PARTITION BY t.device_id ORDER BY t.judged_at) AS closed_at
        FROM turn AS t
    ),
    seen AS (
        SELECT DISTINCT ON (s.device_id, s.opened_at) s.device_id, s.opened_at, j.judged_at, j.value, j.details
        FROM span AS s
        JOIN judged AS j ON j.device_id = s.device_id
        WHERE s.opens AND j.is_fault AND j.judged_at >= s.opened_at AND (s.closed_at IS NULL OR j.judged_at < s.closed_at)
        ORDER BY s.device_id, s.opened_at, j.judged_at DESC
    )
    SELECT
        s.device_id, nullif(s.opened_at, '-infinity'), s.closed_at, n.judged_at, n.value, n.details
    FROM span AS s
    LEFT JOIN seen AS n ON n.device_id = s.device_id AND n.opened_at = s.opened_at
    WHERE s.opens;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_alert_spans (
    ops.alert_rule, text, timestamptz, timestamptz, text [], text []
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_alert_spans (ops.alert_rule, text, timestamptz, timestamptz, text [], text []) IS
'The alerts of a rule, by the windows that end from p_from to p_until, of devices of a kind (NULL: all); those of p_open_ids are open before p_from';
