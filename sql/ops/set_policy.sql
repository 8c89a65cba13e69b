-- One setting at a time, checked before it is stored. For several that depend on each other: UPDATE ops.policy in one
-- transaction.

CREATE OR REPLACE FUNCTION ops.set_policy(p_object text, p_setting text, p_value text) RETURNS ops.policy
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_policy ops.policy;
    v_settings text[];
BEGIN
    PERFORM api.await_standbys();
    PERFORM ops.require_policy_object(p_object);
    SELECT array_agg(a.attname::text ORDER BY a.attnum) INTO v_settings
    FROM pg_attribute AS a
    WHERE a.attrelid = 'ops.policy'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'object';
    IF NOT coalesce(p_setting = ANY (v_settings), FALSE) THEN
        RAISE EXCEPTION 'ops.policy has no setting %', coalesce(p_setting, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'the settings are ' || array_to_string(v_settings, ', ');
    END IF;
    EXECUTE format(
        'UPDATE ops.policy AS p SET %1$I = $1::%2$s WHERE p.object = $2 RETURNING p.*',
        p_setting, (
            SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
            WHERE a.attrelid = 'ops.policy'::regclass AND a.attname = p_setting
        )
    )
    INTO v_policy
    USING p_value, p_object;
    PERFORM ops.require_policies();
    RETURN v_policy;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_policy (text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_policy (text, text, text) TO energy_dba;

COMMENT ON FUNCTION ops.set_policy (text, text, text) IS
'Sets one column of an object''s row in ops.policy (NULL for never) and returns the row; ops.apply_policies makes the database follow. Raises invalid_parameter_value for an unknown object or setting, and for a value that would lose data';
