-- One setting at a time, refused before it is stored. Several that depend on each other: UPDATE ops.policy.

CREATE OR REPLACE FUNCTION ops.set_policy(p_object text, p_setting text, p_value text) RETURNS ops.policy
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_policy ops.policy;
BEGIN
    IF p_setting IS NULL OR p_setting = 'object' OR p_setting NOT IN (
        SELECT a.attname FROM pg_attribute AS a
        WHERE a.attrelid = 'ops.policy'::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ) THEN
        RAISE EXCEPTION 'ops.policy has no setting %', p_setting USING ERRCODE = 'invalid_parameter_value';
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
    IF v_policy.object IS NULL THEN
        RAISE EXCEPTION 'ops.policy has no object %', p_object USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM ops.require_policies();
    RETURN v_policy;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_policy (text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_policy (text, text, text) TO energy_dba;

COMMENT ON FUNCTION ops.set_policy (text, text, text) IS
'Sets one column of an object''s row in ops.policy (NULL for never) and returns the row; ops.apply_policies makes the database follow. Raises invalid_parameter_value for an unknown object or setting, and for a value that would lose data';
