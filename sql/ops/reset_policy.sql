-- The way back from an experiment. Settings of other objects may contradict the defaults: these are named as usual.

CREATE OR REPLACE FUNCTION ops.reset_policy(p_object text) RETURNS ops.policy
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_policy ops.policy;
BEGIN
    PERFORM api.await_standbys();
    PERFORM ops.require_policy_object(p_object);
    UPDATE ops.policy AS p SET
        chunk_interval = d.chunk_interval,
        compress_after = d.compress_after,
        drop_after = d.drop_after,
        accept_for = d.accept_for,
        archive = d.archive,
        refresh_after = d.refresh_after,
        refresh_every = d.refresh_every
    FROM ops.default_policies() AS d
    WHERE d.object = p.object AND p.object = p_object
    RETURNING p.* INTO v_policy;
    RETURN v_policy;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.reset_policy (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.reset_policy (text) TO energy_dba;

COMMENT ON FUNCTION ops.reset_policy (text) IS
'Resets an object''s row in ops.policy to its defaults, and returns it; ops.apply_policies makes the database follow. Raises invalid_parameter_value for an unknown object, and at the end of the transaction if a default would lose data beside other settings';
