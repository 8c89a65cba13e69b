-- One look at the current status: who fell silent, and who came back. Open silences are looked at once more each quarter hour,
-- by ops.evaluate_alerts. A device that was silent for longer than telemetry.alert_horizon is one of an import, or has had an alert.

CREATE OR REPLACE FUNCTION telemetry.find_silence_changes(p_now timestamptz)
RETURNS TABLE (rule_name text, kind text, device_id text, since timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
    SELECT r.name, d.kind, d.device_id, coalesce(a.silent_since, d.recorded_at)
    FROM ops.alert_rule AS r
    CROSS JOIN telemetry.list_devices() AS d
    LEFT JOIN (
        SELECT o.rule_name, o.kind, o.device_id, (o.details ->> 'silent_since')::timestamptz AS silent_since
        FROM telemetry.alert AS o
        WHERE o.rule_kind = 'device_silent' AND o.closed_at IS NULL
    ) AS a ON a.rule_name = r.name AND a.kind = d.kind AND a.device_id = d.device_id
    WHERE
        r.kind = 'device_silent' AND r.enabled
        AND CASE
            WHEN a.silent_since IS NULL
                THEN
                    d.recorded_at >= p_now - telemetry.alert_horizon()
                    AND telemetry.is_silent(d.recorded_at, d.expected_interval, p_now - r.open_after, r.threshold)
            ELSE a.silent_since < d.recorded_at
        END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.find_silence_changes (timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.find_silence_changes (timestamptz) IS
'The devices that have fallen silent by a rule and have no open alert of it, or have one and report again, and the reading at which their silence began';
