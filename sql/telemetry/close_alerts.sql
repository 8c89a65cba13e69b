-- An alert may end for other reasons than its data.

CREATE OR REPLACE FUNCTION telemetry.close_alerts(p_now timestamptz) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    UPDATE telemetry.alert AS a
    SET closed_at = greatest(c.closed_at, a.opened_at), close_reason = c.reason
    FROM (
        SELECT
            o.id,
            CASE
                WHEN t.retired_at IS NOT NULL THEN 'the device is retired'
                WHEN r.name IS NULL THEN 'the rule was removed'
                WHEN NOT r.enabled THEN 'the rule is disabled'
                WHEN o.device_id <> ALL (r.device_ids) THEN 'the rule is not for this device'
            END AS reason,
            coalesce(t.retired_at, p_now) AS closed_at
        FROM telemetry.alert AS o
        LEFT JOIN ops.alert_rule AS r ON r.name = o.rule_name AND r.kind = o.rule_kind
        LEFT JOIN telemetry.list_retired() AS t ON t.kind = o.kind AND t.device_id = o.device_id
        WHERE o.closed_at IS NULL
    ) AS c
    WHERE a.id = c.id AND c.reason IS NOT NULL;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.close_alerts (timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.close_alerts (timestamptz) IS
'Closes the open alerts of devices that are retired, and of rules that were removed or disabled or are not for their device any more';
