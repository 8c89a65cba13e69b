-- An aggregate's chunks are those of its materialized hypertable.

CREATE OR REPLACE FUNCTION ops.policy_table(p_object text) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT CASE
        WHEN p_object LIKE 'bi.%' THEN telemetry.aggregate_table(substr(p_object, 4))
        ELSE p_object::regclass
    END;
$$;

REVOKE EXECUTE ON FUNCTION ops.policy_table (text) FROM PUBLIC;

COMMENT ON FUNCTION ops.policy_table (text) IS 'The hypertable of an object of ops.policy';
