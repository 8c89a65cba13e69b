-- The present state of the database, in the shape of ops.policy: the two are compared column by column.

CREATE OR REPLACE FUNCTION ops.current_policies() RETURNS SETOF ops.policy
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT
        p.object,
        d.time_interval,
        (c.config ->> 'compress_after')::interval,
        (r.config ->> 'drop_after')::interval,
        a.accept_for,
        coalesce((r.config ->> 'archive')::boolean, FALSE),
        a.refresh_after,
        f.schedule_interval
    FROM ops.policy AS p
    LEFT JOIN timescaledb_information.dimensions AS d
        ON format('%I.%I', d.hypertable_schema, d.hypertable_name)::regclass = ops.policy_table(p.object)
    LEFT JOIN ops.policy_job AS c ON c.object = p.object AND c.duty = 'compress'
    LEFT JOIN ops.policy_job AS r ON r.object = p.object AND r.duty = 'drop'
    LEFT JOIN ops.policy_job AS f ON f.object = p.object AND f.duty = 'refresh'
    LEFT JOIN ops.applied_policy AS a ON a.object = p.object;
$$;

REVOKE EXECUTE ON FUNCTION ops.current_policies () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.current_policies () TO energy_dba;

COMMENT ON FUNCTION ops.current_policies () IS 'The present settings of each object of ops.policy, by its jobs and dimensions and ops.applied_policy';
