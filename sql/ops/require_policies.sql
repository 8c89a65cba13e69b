-- The first fault is the error, and its remedy the hint; further ones are in the detail.

CREATE OR REPLACE FUNCTION ops.require_policies() RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, ops, pg_temp
SET standard_conforming_strings = on
AS $$
DECLARE
    v_faults text[];
    v_remedies text[];
BEGIN
    SELECT
        array_agg(format('%s of %s: %s', f.setting, f.object, f.reason) ORDER BY f.object, f.setting, f.reason),
        array_agg(f.remedy ORDER BY f.object, f.setting, f.reason)
    INTO v_faults, v_remedies
    FROM ops.policy_faults() AS f;
    IF cardinality(v_faults) > 1 THEN
        RAISE EXCEPTION '%', v_faults[1]
        USING ERRCODE = 'invalid_parameter_value', DETAIL = array_to_string(v_faults[2:], E'\n'), HINT = v_remedies[1];
    ELSIF v_faults IS NOT NULL THEN
        RAISE EXCEPTION '%', v_faults[1] USING ERRCODE = 'invalid_parameter_value', HINT = v_remedies[1];
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.require_policies () FROM PUBLIC;

COMMENT ON FUNCTION ops.require_policies () IS 'Raises invalid_parameter_value if ops.policy has a setting that would lose data: the fault, its remedy within the same transaction (hint), and all further faults (detail)';
