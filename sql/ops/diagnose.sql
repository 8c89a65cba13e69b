-- The findings of the views as sentences, for `energy doctor`.

CREATE OR REPLACE FUNCTION ops.diagnose() RETURNS TABLE (topic text, finding text, is_fault boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
    SELECT 'jobs', count(*) FILTER (WHERE j.health = 'ok') || ' of ' || count(*) || ' are ok', FALSE
    FROM ops.job_health AS j
    UNION ALL
    SELECT
        'jobs',
        format(
            'job %s, which %s, is %s%s: %s', j.job_id, j.purpose, j.health, ' (' || j.last_error || ')',
            CASE
                WHEN j.health = 'stuck' THEN format('as energy_owner, SELECT alter_job(%s, next_start => now())', j.job_id)
                ELSE 'see ops.job_health'
            END
        ),
        TRUE
    FROM ops.job_health AS j
    WHERE j.health <> 'ok'
    UNION ALL
    SELECT 'aggregates', count(*) FILTER (WHERE l.health = 'ok') || ' of ' || count(*) || ' are up to date', FALSE
    FROM ops.aggregate_lag AS l
    UNION ALL
    SELECT
        'aggregates',
        format(
            '%s does not show readings received since %s: see ops.aggregate_lag, and the job of duty refresh',
            l.aggregate, to_char(l.received_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
        ),
        TRUE
    FROM ops.aggregate_lag AS l
    WHERE l.health <> 'ok'
    UNION ALL
    SELECT
        'aggregates',
        format(
            'readings came for times of which %s was dropped, the first in %s: they are in no aggregate. '
            'Store the rest of that time again, and call ops.take_up_again',
            c.source, c.first_start
        ),
        TRUE
    FROM (
        SELECT d.source, min(lower(n.during)) AS first_start
        FROM telemetry.dropped_time AS d
        CROSS JOIN LATERAL telemetry.list_source_chunks(d.source) AS n
        WHERE d.times && n.during
        GROUP BY d.source
    ) AS c
    UNION ALL
    SELECT
        'jobs',
        format(
            'job %s (%s, owner %s) drops chunks of %s, and does not wait for the aggregates to take them up: delete it',
            j.job_id, j.proc_name, j.owner, p.object
        ),
        TRUE
    FROM ops.policy AS p
    JOIN timescaledb_information.jobs AS j
        ON j.proc_name = 'policy_retention'
        AND to_regclass(quote_ident(j.hypertable_schema) || '.' || quote_ident(j.hypertable_name)) IN (ops.policy_table(p.object), p.object::regclass)
    UNION ALL
    SELECT
        'jobs',
        format(
            'job %s (%s, owner %s) refreshes %s apart from the engine, which shows hours of half their quarter hours: delete it',
            j.job_id, j.proc_name, j.owner, p.object
        ),
        TRUE
    FROM ops.policy AS p
    JOIN timescaledb_information.jobs AS j
        ON j.proc_name = 'policy_refresh_continuous_aggregate'
        AND to_regclass(quote_ident(j.hypertable_schema) || '.' || quote_ident(j.hypertable_name)) IN (ops.policy_table(p.object), p.object::regclass)
    UNION ALL
    SELECT
        'jobs',
        format(
            '%s jobs of the login %s have the name or the tables of the engine, as job %s (%s): do not run them, delete them',
            count(*), j.owner, min(j.job_id), (array_agg(j.proc_schema || '.' || j.proc_name ORDER BY j.job_id))[1]
        ),
        TRUE
    FROM timescaledb_information.jobs AS j
    LEFT JOIN _timescaledb_catalog.hypertable AS h ON h.id::text = j.config ->> 'hypertable_id'
    WHERE j.owner::text <> 'energy_owner' AND (
        j.proc_schema = 'ops'
        OR j.config ->> 'object' IN (SELECT p.object FROM ops.policy AS p)
        OR coalesce(j.hypertable_schema, h.schema_name) || '.' || coalesce(j.hypertable_name, h.table_name)
        IN (SELECT x FROM ops.policy AS p, unnest(ARRAY[p.object, ops.policy_table(p.object)::text]) AS x)
    )
    GROUP BY j.owner
    UNION ALL
    SELECT
        'rights',
        format(
            'every login of this database may %s, by %s functions: SELECT ops.secure_database() as a superuser',
            f.purpose, count(*)
        ),
        FALSE -- without a superuser, nobody can end it
    FROM ops.list_open_functions() AS f
    GROUP BY f.purpose
    UNION ALL
    SELECT
        'rights',
        'every login of this database may make temporary tables: SELECT ops.secure_database() as the owner of the database',
        FALSE
    FROM pg_database AS d
    CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
    WHERE d.datname = current_database() AND a.grantee = 0 AND a.privilege_type = 'TEMPORARY'
    UNION ALL
    SELECT
        'rights',
        format(
            'sessions of BI beyond their limits are not ended, as energy_owner is no member of %s: SELECT ops.secure_database() as a superuser',
            string_agg(r.name, ', ')
        ),
        FALSE
    FROM unnest(ARRAY['pg_signal_backend', 'pg_read_all_stats']) AS r(name)
    WHERE NOT pg_has_role('energy_owner', r.name, 'USAGE')
    HAVING count(*) > 0
    UNION ALL
    SELECT
        'sessions', format('%s of BI were ended, the last at %s: %s', l.ended, l.last_ended_at, l.last_ended), FALSE
    FROM ops.bi_session_limit AS l
    WHERE l.ended > 0
    UNION ALL
    SELECT
        'sessions',
        format('the BI login %s may take every connection: ALTER ROLE %I CONNECTION LIMIT 20', r.rolname, r.rolname),
        FALSE
    FROM pg_roles AS r
    WHERE r.rolcanlogin AND r.rolconnlimit = -1 AND ops.is_bi_login(r.oid)
    UNION ALL
    SELECT 'policies', format('%s of %s: %s (%s)', f.setting, f.object, f.reason, f.remedy), TRUE
    FROM ops.policy_faults() AS f
    UNION ALL
    SELECT
        'policies',
        format(
            '%s of %s is %s, and should be %s: SELECT ops.apply_policies()',
            c.setting, c.object, coalesce(c.was, 'never'), coalesce(c.becomes, 'never')
        ),
        TRUE
    FROM ops.pending_changes() AS c
    UNION ALL
    SELECT
        'storage',
        pg_size_pretty(sum(s.bytes)) || ' of ' || sum(s.chunks) || ' chunks, '
        || pg_size_pretty(sum(s.bytes_a_day)) || ' a day' || coalesce(', ' || min(s.days_left) || ' days left', ''),
        coalesce(min(s.days_left) < 30, FALSE)
    FROM ops.storage AS s
    UNION ALL
    SELECT 'archive', count(*) || ' chunks are due and not archived: run `energy archive run`', TRUE
    FROM ops.chunk_list AS c
    JOIN ops.policy AS p ON p.object = c.object AND p.archive
    WHERE c.range_end <= now() - p.drop_after - INTERVAL '2 days' AND c.archived_at IS NULL
    HAVING count(*) > 0
    UNION ALL
    SELECT 'jobs', format('the job of duty %s is missing: SELECT ops.apply_policies()', d.duty), TRUE
    FROM unnest(ARRAY['watch', 'evaluate']) AS d(duty)
    WHERE NOT EXISTS (SELECT FROM ops.policy_job AS j WHERE j.duty = d.duty)
    UNION ALL
    SELECT 'schema', s.finding, s.is_fault
    FROM ops.diagnose_schema() AS s
    UNION ALL
    SELECT 'devices', count(*) || ' are silent: see ops.silent_device', FALSE
    FROM ops.silent_device
    UNION ALL
    SELECT
        'alerts',
        format(
            '%s are open%s', count(*),
            CASE
                WHEN NOT EXISTS (SELECT FROM telemetry.webhook AS w WHERE w.is_enabled)
                    AND NOT EXISTS (SELECT FROM ops.alertmanager AS m WHERE m.attempted_at > now() - INTERVAL '10 minutes')
                    THEN ', and nobody is told: set ENERGY_ALERTMANAGER_URL, or a webhook'
            END
        ),
        FALSE
    FROM telemetry.alert AS a
    WHERE a.closed_at IS NULL
    UNION ALL
    SELECT
        'alerts',
        format(
            'Alertmanager %s has not accepted any since %s: %s', m.address,
            to_char(m.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), coalesce(m.last_error, 'no answer yet')
        ),
        TRUE
    FROM ops.alertmanager AS m
    WHERE m.attempted_at > now() - INTERVAL '10 minutes' AND m.sent_at < now() - INTERVAL '5 minutes'
    UNION ALL
    SELECT
        'alerts',
        format(
            '%s messages to webhook %s wait, the oldest since %s: %s', w.pending, w.name,
            to_char(w.oldest_pending_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
            coalesce(w.last_error, 'no service has sent them')
        ),
        TRUE
    FROM ops.webhook AS w
    WHERE w.is_enabled AND w.oldest_pending_at < now() - INTERVAL '15 minutes'
    UNION ALL
    SELECT
        'alerts',
        format('%s messages to webhook %s were given up after 3 days: see ops.webhook_message', count(*), m.webhook_name),
        TRUE
    FROM ops.webhook_message AS m
    WHERE m.given_up_at > now() - INTERVAL '7 days'
    GROUP BY m.webhook_name
    UNION ALL
    SELECT 'standbys', s.finding, s.is_fault
    FROM ops.diagnose_standbys() AS s
    UNION ALL
    SELECT
        'devices',
        format(
            '%s of %s %ss had at least 300 times the median energy of %s kWh since %s: %s. Do they send Wh as kWh, or a register '
            'as an interval? See ops.list_excessive_devices and ops.set_default_max_kw',
            count(*), min(e.devices), e.kind, round(min(e.median_kwh)::numeric, 3), to_char(min(e.since) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
            string_agg(format('%s (%s times)', e.device_id, round((e.kwh / e.median_kwh)::numeric)), ', ' ORDER BY e.rank)
            FILTER (WHERE e.rank <= 5) || CASE WHEN count(*) > 5 THEN ', ...' ELSE '' END
        ),
        TRUE
    FROM (
        SELECT l.*, row_number() OVER (PARTITION BY l.kind ORDER BY l.kwh DESC, l.device_id) AS rank
        FROM ops.list_excessive_devices() AS l
    ) AS e
    GROUP BY e.kind;
$$;

REVOKE EXECUTE ON FUNCTION ops.diagnose () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.diagnose () TO energy_dba;

COMMENT ON FUNCTION ops.diagnose () IS
'The findings of the views of schema ops, a sentence a row, and is_fault for those that need a person: jobs that are late or failing, aggregates that are stale for too long, foreign jobs that drop or refresh, rights that every login has, sessions of BI that were ended, policies that are not applied or would lose data, less than 30 days of disk, standbys with which a failover could lose acknowledged readings, chunks that wait for the archive for over 2 days, a schema or histories changed by hand, alerts that an Alertmanager or webhook does not accept, devices with at least 300 times the median energy of their kind';
