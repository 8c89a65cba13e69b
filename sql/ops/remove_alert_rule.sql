-- The next evaluation closes its open alerts.

CREATE OR REPLACE FUNCTION ops.remove_alert_rule(p_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
BEGIN
    PERFORM api.await_standbys();
    DELETE FROM ops.alert_rule AS r WHERE r.name = p_name;
    IF NOT found THEN
        RAISE EXCEPTION 'ops.alert_rule has no rule %', coalesce(p_name, 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'the rules are ' || (SELECT string_agg(r.name, ', ' ORDER BY r.name) FROM ops.alert_rule AS r);
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.remove_alert_rule (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.remove_alert_rule (text) TO energy_dba;

COMMENT ON FUNCTION ops.remove_alert_rule (text) IS
'Removes a rule of ops.alert_rule; the next run of ops.evaluate_alerts closes its open alerts. Raises invalid_parameter_value for an unknown name';
