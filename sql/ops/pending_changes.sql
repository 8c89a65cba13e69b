-- The differences of the database from ops.policy, column by column. Intervals differ if they are written differently,
-- as a year is not 360 days. But TimescaleDB keeps a chunk interval as a length, with days of 24 hours.

CREATE OR REPLACE FUNCTION ops.pending_changes() RETURNS TABLE (object text, setting text, was text, becomes text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT p.object, s.key, w.value, s.value
    FROM ops.policy AS p
    JOIN ops.current_policies() AS c ON c.object = p.object
    CROSS JOIN LATERAL jsonb_each_text(to_jsonb(p)) AS s
    JOIN LATERAL jsonb_each_text(to_jsonb(c)) AS w ON w.key = s.key
    WHERE CASE s.key
        WHEN 'chunk_interval' THEN w.value::interval IS DISTINCT FROM s.value::interval
        ELSE w.value IS DISTINCT FROM s.value
    END
    ORDER BY p.object, s.key;
$$;

REVOKE EXECUTE ON FUNCTION ops.pending_changes () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.pending_changes () TO energy_dba;

COMMENT ON FUNCTION ops.pending_changes () IS 'The changes of ops.apply_policies: the object, the setting, its present and its new value';
