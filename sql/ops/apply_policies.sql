-- Makes jobs and dimensions what ops.policy says, and touches nothing that is so already. What changes its tier or its age
-- gets a new job, which starts with a clean account.

CREATE OR REPLACE FUNCTION ops.apply_policies(p_dry_run boolean DEFAULT FALSE)
RETURNS TABLE (object text, setting text, was text, becomes text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_policy ops.policy;
    v_changed text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ops.apply_policies', 0));
    PERFORM ops.require_policies();
    FOR v_policy IN SELECT p.* FROM ops.policy AS p ORDER BY p.object
    LOOP
        v_changed := '{}';
        FOR object, setting, was, becomes IN
            SELECT v_policy.object, s.key, w.value, s.value
            FROM ops.current_policies() AS c
            CROSS JOIN LATERAL jsonb_each_text(to_jsonb(v_policy)) AS s
            JOIN LATERAL jsonb_each_text(to_jsonb(c)) AS w ON w.key = s.key
            WHERE c.object = v_policy.object AND w.value IS DISTINCT FROM s.value
            ORDER BY s.key
        LOOP
            v_changed := v_changed || setting;
            RETURN NEXT;
        END LOOP;
        IF NOT p_dry_run THEN
            PERFORM ops.apply_policy(v_policy, v_changed);
        END IF;
    END LOOP;
    IF NOT p_dry_run THEN
        PERFORM ops.guard_chunks();
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.apply_policies (boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.apply_policies (boolean) TO energy_dba;

COMMENT ON FUNCTION ops.apply_policies (boolean) IS
'Makes the database follow ops.policy, and returns what changes (nothing, where it follows already); with p_dry_run it only returns that. Raises invalid_parameter_value, and changes nothing, where a setting would lose data';
