-- A mistyped name is answered with the valid ones.

CREATE OR REPLACE FUNCTION ops.require_policy_object(p_object text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ops.policy AS p WHERE p.object = p_object) THEN
        RAISE EXCEPTION 'ops.policy has no object %', coalesce(p_object, 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'the objects are ' || (SELECT string_agg(p.object, ', ' ORDER BY p.object) FROM ops.policy AS p);
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.require_policy_object (text) FROM PUBLIC;

COMMENT ON FUNCTION ops.require_policy_object (text) IS 'Raises invalid_parameter_value for an object that ops.policy does not have, and names the valid ones';
