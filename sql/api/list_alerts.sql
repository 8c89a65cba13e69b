-- Pages by number, newest first: p_after is the last alert of the page before.

CREATE OR REPLACE FUNCTION api.list_alerts(
    p_state text DEFAULT 'open',
    p_kind text DEFAULT NULL,
    p_device_id text DEFAULT NULL,
    p_rule_kind text DEFAULT NULL,
    p_severity text DEFAULT NULL,
    p_after bigint DEFAULT NULL,
    p_limit integer DEFAULT 100
) RETURNS SETOF telemetry.alert
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    PERFORM
        telemetry.require_value('state', coalesce(p_state IN ('open', 'closed', 'all'), FALSE), 'open, closed or all'),
        telemetry.require_value('kind', p_kind IN ('meter', 'vehicle'), 'meter or vehicle'),
        telemetry.require_value('ruleKind', p_rule_kind = ANY (telemetry.alert_kinds()), array_to_string(telemetry.alert_kinds(), ', ')),
        telemetry.require_value('severity', p_severity IN ('info', 'warning', 'critical'), 'info, warning or critical'),
        telemetry.require_value('limit', coalesce(p_limit BETWEEN 1 AND 10001, FALSE), 'from 1 to 10001');
    RETURN QUERY
    SELECT a.*
    FROM telemetry.alert AS a
    WHERE
        CASE p_state WHEN 'open' THEN a.closed_at IS NULL WHEN 'closed' THEN a.closed_at IS NOT NULL ELSE TRUE END
        AND (p_kind IS NULL OR a.kind = p_kind)
        AND (p_device_id IS NULL OR a.device_id = p_device_id)
        AND (p_rule_kind IS NULL OR a.rule_kind = p_rule_kind)
        AND (p_severity IS NULL OR a.severity = p_severity)
        AND (p_after IS NULL OR a.id < p_after)
    ORDER BY a.id DESC
    LIMIT p_limit;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_alerts (text, text, text, text, text, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_alerts (text, text, text, text, text, bigint, integer) TO energy_service, energy_dba;

COMMENT ON FUNCTION api.list_alerts (text, text, text, text, text, bigint, integer) IS
'Up to p_limit alerts (telemetry.alert), newest number first, after number p_after: in p_state (open, closed, all), of a kind (meter, vehicle), a device, a kind of rule and a severity; NULL does not filter. Raises IE004 for an invalid value';
