-- The rules of a new installation, and the settings of a new rule that are left out.

CREATE OR REPLACE FUNCTION ops.default_alert_rules() RETURNS SETOF ops.alert_rule
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT
        d.kind, d.kind, d.threshold, d.upper_threshold, d.window_length::interval, d.least, d.open_after::interval,
        d.close_after::interval, d.severity, NULL::text[], TRUE, '-infinity'::timestamptz
    FROM (
        VALUES
        ('efficiency_low', 0.85, NULL, '1 day', 5, '1 hour', '1 hour', 'warning'),
        ('efficiency_impossible', 1.02, NULL, '1 day', 5, '1 hour', '1 hour', 'warning'),
        ('charger_fading', 0.03, NULL, '7 days', 20, '0', '0', 'info'),
        ('device_silent', 5, NULL, '0', 0, '10 minutes', '0', 'warning'),
        ('battery_hot', 50, NULL, '15 minutes', 1, '15 minutes', '30 minutes', 'critical'),
        ('voltage_outside', 207, 253, '15 minutes', 1, '15 minutes', '30 minutes', 'warning'),
        ('data_incomplete', 0.9, NULL, '1 day', 1, '1 hour', '1 hour', 'info'),
        ('readings_rejected', 10, NULL, '1 hour', 0, '0', '1 hour', 'warning'),
        ('standby_high', 0.5, NULL, '2 hours', 1, '1 hour', '1 hour', 'info')
    ) AS d (kind, threshold, upper_threshold, window_length, least, open_after, close_after, severity);
$$;

REVOKE EXECUTE ON FUNCTION ops.default_alert_rules () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.default_alert_rules () TO energy_dba;

COMMENT ON FUNCTION ops.default_alert_rules () IS 'The rows of ops.alert_rule on a new installation, one of each kind';
