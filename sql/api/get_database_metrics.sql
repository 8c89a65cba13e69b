-- Metrics of the database for Prometheus, in one call. It runs every few seconds beside the ingest, so it reads
-- catalogues and status tables and never a history. Sizes of the columnstore are those recorded at compression.

CREATE OR REPLACE FUNCTION api.get_database_metrics() RETURNS TABLE (name text, labels jsonb, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
    WITH chunk AS MATERIALIZED (
        SELECT
            p.object,
            i.is_compressed,
            CASE
                WHEN i.is_compressed THEN z.compressed_heap_size + z.compressed_index_size + z.compressed_toast_size
                ELSE pg_total_relation_size(format('%I.%I', i.chunk_schema, i.chunk_name)::regclass)
            END AS bytes
        FROM ops.policy AS p
        CROSS JOIN LATERAL ops.policy_table(p.object) AS t (hypertable)
        JOIN timescaledb_information.chunks AS i
            ON format('%I.%I', i.hypertable_schema, i.hypertable_name)::regclass = t.hypertable
        LEFT JOIN _timescaledb_catalog.compression_chunk_size AS z
            ON z.chunk_id = _timescaledb_functions.chunk_id_from_relid(format('%I.%I', i.chunk_schema, i.chunk_name)::regclass)
    ),
    device AS MATERIALIZED (
        SELECT s.kind, count(d.device_id) AS devices, count(d.device_id) FILTER (WHERE d.is_silent) AS silent
        FROM (VALUES ('meter'), ('vehicle')) AS s (kind)
        LEFT JOIN telemetry.list_devices() AS d ON d.kind = s.kind
        GROUP BY s.kind
    ),
    aggregate AS MATERIALIZED (
        SELECT
            l.aggregate, CASE WHEN l.stale_ranges <> '{}' THEN now() - l.received_until ELSE INTERVAL '0' END AS lag,
            telemetry.refresh_patience(substring(l.aggregate FROM '[.](meter|vehicle)_')) AS patience
        FROM ops.measure_aggregate_lag() AS l
    ),
    job AS MATERIALIZED (
        SELECT
            jsonb_build_object('duty', j.duty, 'object', coalesce(j.object, 'all')) AS labels,
            j.health,
            j.failures,
            CASE
                WHEN r.job_id IS NOT NULL THEN CASE WHEN r.error IS NULL THEN r.finished_at END
                ELSE nullif(s.last_successful_finish, '-infinity')
            END AS succeeded_at
        FROM ops.list_job_health() AS j
        LEFT JOIN timescaledb_information.job_stats AS s ON s.job_id = j.job_id
        LEFT JOIN ops.job_run AS r ON r.job_id = j.job_id
    ),
    standby AS MATERIALIZED (SELECT l.name, l.is_synchronous, l.bytes_behind FROM ops.list_standbys() AS l)
    SELECT 'energy_aggregate_lag_seconds', jsonb_build_object('aggregate', a.aggregate), extract(EPOCH FROM a.lag)
    FROM aggregate AS a
    UNION ALL
    SELECT
        'energy_aggregate_lag_limit_seconds', jsonb_build_object('aggregate', a.aggregate), extract(EPOCH FROM a.patience)
    FROM aggregate AS a
    UNION ALL
    SELECT 'energy_job_healthy', j.labels, (j.health = 'ok')::integer FROM job AS j
    UNION ALL
    SELECT 'energy_job_failures_total', j.labels, j.failures FROM job AS j
    UNION ALL
    SELECT 'energy_job_last_success_timestamp_seconds', j.labels, extract(EPOCH FROM j.succeeded_at)
    FROM job AS j WHERE j.succeeded_at IS NOT NULL
    UNION ALL
    SELECT 'energy_policy_faults', '{}', count(*) FROM ops.policy_faults()
    UNION ALL
    SELECT 'energy_devices', jsonb_build_object('kind', d.kind, 'state', v.state), v.number
    FROM device AS d
    CROSS JOIN LATERAL (VALUES ('reporting', d.devices - d.silent), ('silent', d.silent)) AS v (state, number)
    UNION ALL
    SELECT 'energy_webhook_messages', jsonb_build_object('state', v.state), v.number
    FROM (
        SELECT
            count(*) FILTER (WHERE m.given_up_at IS NULL) AS pending,
            count(*) FILTER (WHERE m.given_up_at IS NOT NULL) AS given_up
        FROM ops.webhook_message AS m
        JOIN telemetry.webhook AS w ON w.name = m.webhook_name AND w.is_enabled
    ) AS q
    CROSS JOIN LATERAL (VALUES ('pending', q.pending), ('given_up', q.given_up)) AS v (state, number)
    UNION ALL
    SELECT
        'energy_webhook_oldest_pending_seconds', '{}',
        coalesce(extract(EPOCH FROM now() - min(m.created_at)), 0)
    FROM ops.webhook_message AS m
    JOIN telemetry.webhook AS w ON w.name = m.webhook_name AND w.is_enabled
    WHERE m.given_up_at IS NULL
    UNION ALL
    SELECT
        'energy_alertmanager_behind_seconds', jsonb_build_object('alertmanager', a.address),
        extract(EPOCH FROM now() - a.sent_at)
    FROM ops.alertmanager AS a
    WHERE a.attempted_at > now() - INTERVAL '10 minutes' -- else it is no longer in the settings
    UNION ALL
    SELECT
        'energy_storage_bytes', jsonb_build_object('object', p.object, 'state', s.state),
        coalesce(sum(c.bytes) FILTER (WHERE c.is_compressed = (s.state = 'compressed')), 0)
    FROM ops.policy AS p
    CROSS JOIN (VALUES ('compressed'), ('uncompressed')) AS s (state)
    LEFT JOIN chunk AS c ON c.object = p.object
    GROUP BY p.object, s.state
    UNION ALL
    SELECT 'energy_chunks', jsonb_build_object('object', p.object), count(c.object)
    FROM ops.policy AS p
    LEFT JOIN chunk AS c ON c.object = p.object
    GROUP BY p.object
    UNION ALL
    SELECT
        'energy_synchronous_standbys_required', '{}',
        (current_setting('synchronous_standby_names') <> '')::integer
    UNION ALL
    SELECT
        'energy_standbys', jsonb_build_object('state', v.state),
        count(s.name) FILTER (WHERE s.is_synchronous = (v.state = 'synchronous'))
    FROM (VALUES ('synchronous'), ('asynchronous')) AS v (state)
    LEFT JOIN standby AS s ON TRUE
    WHERE pg_has_role('pg_read_all_stats', 'USAGE')
    GROUP BY v.state
    UNION ALL
    SELECT 'energy_standby_lag_bytes', jsonb_build_object('standby', s.name), max(s.bytes_behind)
    FROM standby AS s
    WHERE s.bytes_behind IS NOT NULL
    GROUP BY s.name;
$$;

REVOKE EXECUTE ON FUNCTION api.get_database_metrics () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_database_metrics () TO energy_service;

COMMENT ON FUNCTION api.get_database_metrics () IS
'Samples for Prometheus: name of the metric, which ends in its unit (seconds, bytes; a time in seconds since 1970), labels as a JSON object, and value';
