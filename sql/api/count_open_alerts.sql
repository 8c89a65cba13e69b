-- For metrics: never by device, as each would be a time series of its own.

CREATE OR REPLACE FUNCTION api.count_open_alerts() RETURNS TABLE (rule_kind text, severity text, alerts bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT c.rule_kind, c.severity, sum(c.alerts)::bigint
    FROM (
        SELECT a.rule_kind, a.severity, count(*) AS alerts
        FROM telemetry.alert AS a
        WHERE a.closed_at IS NULL
        GROUP BY a.rule_kind, a.severity
        UNION ALL
        SELECT r.kind, r.severity, 0
        FROM ops.alert_rule AS r
    ) AS c
    GROUP BY c.rule_kind, c.severity
    ORDER BY 1, 2;
$$;

REVOKE EXECUTE ON FUNCTION api.count_open_alerts () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.count_open_alerts () TO energy_service;

COMMENT ON FUNCTION api.count_open_alerts () IS 'Number of open alerts by kind of rule and severity; 0 for a rule without any';
