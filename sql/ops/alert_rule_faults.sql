-- Settings of a rule that contradict each other or cannot be judged, all at once.

CREATE OR REPLACE FUNCTION ops.alert_rule_faults(p_rule ops.alert_rule) RETURNS TABLE (setting text, reason text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
    SELECT f.setting, f.reason
    FROM (SELECT extract(EPOCH FROM p_rule.window_length) AS seconds) AS w
    CROSS JOIN LATERAL (
        VALUES
        ('name', coalesce(length(p_rule.name) NOT BETWEEN 1 AND 64, TRUE), 'has 1 to 64 characters'),
        ('threshold', coalesce(p_rule.threshold NOT BETWEEN -1e6 AND 1e6, TRUE), 'is a number from -1e6 to 1e6'),
        (
            'threshold',
            p_rule.kind IN ('efficiency_low', 'data_incomplete', 'charger_fading') AND p_rule.threshold NOT BETWEEN 0 AND 1,
            format('%s is a ratio from 0 to 1', p_rule.threshold)
        ),
        (
            'threshold', p_rule.kind = 'efficiency_impossible' AND p_rule.threshold < 1,
            format('%s is a ratio of 1 or more', p_rule.threshold)
        ),
        (
            'threshold', p_rule.kind IN ('device_silent', 'readings_rejected') AND p_rule.threshold < 1,
            format('%s is 1 or more', p_rule.threshold)
        ),
        (
            'upper_threshold',
            CASE p_rule.kind
                WHEN 'voltage_outside' THEN coalesce(p_rule.upper_threshold <= p_rule.threshold, TRUE)
                ELSE p_rule.upper_threshold IS NOT NULL
            END,
            'is the upper end of the band of voltage_outside, above threshold; other kinds have none'
        ),
        (
            'window_length',
            CASE p_rule.kind
                WHEN 'device_silent' THEN FALSE
                WHEN 'charger_fading' THEN coalesce(w.seconds NOT BETWEEN 86400 AND 31 * 86400 OR mod(w.seconds, 86400) <> 0, TRUE)
                ELSE coalesce(w.seconds NOT BETWEEN 900 AND 7 * 86400 OR mod(w.seconds, 900) <> 0, TRUE)
            END,
            CASE p_rule.kind
                WHEN 'charger_fading' THEN format('%s is a number of days, from 1 to 31', p_rule.window_length)
                ELSE format('%s is a multiple of 15 minutes, up to 7 days', p_rule.window_length)
            END
        ),
        ('least', coalesce(p_rule.least NOT BETWEEN 0 AND 1e6, TRUE), format('%s is a number from 0 to 1e6', p_rule.least)),
        (
            'open_after', coalesce(p_rule.open_after NOT BETWEEN INTERVAL '0' AND INTERVAL '7 days', TRUE),
            format('%s is a time of up to 7 days', p_rule.open_after)
        ),
        (
            'close_after', coalesce(p_rule.close_after NOT BETWEEN INTERVAL '0' AND INTERVAL '7 days', TRUE),
            format('%s is a time of up to 7 days', p_rule.close_after)
        ),
        (
            'severity', coalesce(p_rule.severity NOT IN ('info', 'warning', 'critical'), TRUE),
            format('%s is info, warning or critical', p_rule.severity)
        ),
        (
            'device_ids',
            EXISTS (
                SELECT FROM unnest(p_rule.device_ids) AS i (id) WHERE i.id IS NULL OR telemetry.check_device_id('id', i.id) IS NOT NULL
            ),
            'has an id that no device can have'
        )
    ) AS f (setting, is_fault, reason)
    WHERE f.is_fault;
$$;

REVOKE EXECUTE ON FUNCTION ops.alert_rule_faults (ops.alert_rule) FROM PUBLIC;

COMMENT ON FUNCTION ops.alert_rule_faults (ops.alert_rule) IS 'The refused settings of a rule: the setting, and the limit that it breaks';
