-- The first fault stops; the rest stands in the detail.

CREATE OR REPLACE FUNCTION ops.require_policies() RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_faults text[];
BEGIN
    SELECT array_agg(format('%s of %s: %s', f.setting, f.object, f.reason) ORDER BY f.object, f.setting)
    INTO v_faults
    FROM ops.policy_faults() AS f;
    IF v_faults IS NOT NULL THEN
        RAISE EXCEPTION '%', v_faults[1]
        USING ERRCODE = 'invalid_parameter_value', DETAIL = array_to_string(v_faults, E'\n'),
        HINT = 'the database goes on as before; see ops.policy_faults()';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.require_policies () FROM PUBLIC;

COMMENT ON FUNCTION ops.require_policies () IS 'Raises invalid_parameter_value where ops.policy has a setting that would lose data';
