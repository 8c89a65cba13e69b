-- Checked at the end of the transaction, after all its changes.

CREATE OR REPLACE FUNCTION ops.check_policies() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
BEGIN
    PERFORM ops.require_policies();
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.check_policies () FROM PUBLIC;

COMMENT ON FUNCTION ops.check_policies () IS
'Trigger of ops.policy: refuses a transaction that leaves a setting which would lose data, as ops.require_policies does';
