-- What the database does now, in the shape of what it should do: the two are compared column by column.

CREATE OR REPLACE FUNCTION ops.current_policies() RETURNS SETOF ops.policy
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT
        p.object,
        d.time_interval,
        (c.config ->> 'compress_after')::interval,
        (r.config ->> 'drop_after')::interval,
        p.accept_for, -- nothing but the table itself says it
        (live.config ->> 'start_offset')::interval,
        (live.config ->> 'end_offset')::interval,
        live.schedule_interval,
        (late.config ->> 'start_offset')::interval,
        late.schedule_interval,
        coalesce(r.procedure = 'drop_archived_chunks', FALSE)
    FROM ops.policy AS p
    LEFT JOIN timescaledb_information.dimensions AS d
        ON format('%I.%I', d.hypertable_schema, d.hypertable_name)::regclass = ops.policy_table(p.object)
    LEFT JOIN ops.policy_job AS c ON c.object = p.object AND c.duty = 'compress'
    LEFT JOIN ops.policy_job AS r ON r.object = p.object AND r.duty = 'drop'
    LEFT JOIN ops.policy_job AS live ON live.object = p.object AND live.duty = 'live'
    LEFT JOIN ops.policy_job AS late ON late.object = p.object AND late.duty = 'late';
$$;

REVOKE EXECUTE ON FUNCTION ops.current_policies () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.current_policies () TO energy_dba;

COMMENT ON FUNCTION ops.current_policies () IS 'What the database does for each object of ops.policy, as its jobs and dimensions say';
