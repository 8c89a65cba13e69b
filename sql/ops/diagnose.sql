-- What the views say, in sentences: `energy doctor` prints it.

CREATE OR REPLACE FUNCTION ops.diagnose() RETURNS TABLE (topic text, finding text, is_fault boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT 'jobs', count(*) FILTER (WHERE j.health = 'ok') || ' of ' || count(*) || ' are ok', FALSE
    FROM ops.job_health AS j
    UNION ALL
    SELECT
        'jobs',
        format('job %s, which %s, is %s%s: see ops.job_health', j.job_id, j.purpose, j.health, ' (' || j.last_error || ')'),
        TRUE
    FROM ops.job_health AS j
    WHERE j.health <> 'ok'
    UNION ALL
    SELECT 'aggregates', count(*) FILTER (WHERE l.health = 'ok') || ' of ' || count(*) || ' are up to date', FALSE
    FROM ops.aggregate_lag AS l
    UNION ALL
    SELECT
        'aggregates',
        CASE l.health
            WHEN 'late' THEN format('%s is %s behind: see ops.aggregate_lag', l.aggregate, l.behind)
            ELSE format('%s has late readings that no tier reaches: see ops.aggregate_lag', l.aggregate)
        END,
        TRUE
    FROM ops.aggregate_lag AS l
    WHERE l.health <> 'ok'
    UNION ALL
    SELECT 'policies', format('%s of %s: %s', f.setting, f.object, f.reason), TRUE
    FROM ops.policy_faults() AS f
    UNION ALL
    SELECT
        'policies',
        format('%s of %s is %s, and should be %s: SELECT ops.apply_policies()', c.setting, c.object, c.was, c.becomes),
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
    SELECT 'devices', count(*) || ' are silent: see ops.stale_device', FALSE
    FROM ops.stale_device;
$$;

REVOKE EXECUTE ON FUNCTION ops.diagnose () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.diagnose () TO energy_dba;

COMMENT ON FUNCTION ops.diagnose () IS
'What the views of schema ops find, a sentence a row, and whether it needs somebody: jobs that are late or failing, aggregates that are behind, policies that are not applied or would lose data, less than 30 days of disk, chunks that wait for the archive for over 2 days';
