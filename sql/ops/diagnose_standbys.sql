-- The findings about standbys for ops.diagnose: which acknowledgements would outlive the loss of this server.

CREATE OR REPLACE FUNCTION ops.diagnose_standbys() RETURNS TABLE (finding text, is_fault boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    WITH standby AS MATERIALIZED (
        SELECT count(*) AS number, count(*) FILTER (WHERE l.is_synchronous) AS synchronous
        FROM ops.list_standbys() AS l
    ),
    server AS MATERIALIZED (
        SELECT
            pg_is_in_recovery() AS is_standby,
            pg_has_role('pg_read_all_stats', 'USAGE') AS is_visible,
            nullif(current_setting('synchronous_standby_names'), '') AS names,
            (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'timescaledb') AS timescaledb
    )
    SELECT
        CASE
            WHEN v.is_standby THEN 'this server is a standby itself'
            WHEN NOT v.is_visible THEN
                'it cannot be seen whether a failover could lose acknowledged readings: '
                'let a superuser GRANT pg_read_all_stats TO energy_owner'
            WHEN v.names IS NOT NULL AND s.synchronous = 0 THEN format(
                'commits wait for synchronous_standby_names (%s), and no such standby is connected: '
                'every write is answered 503 until one is', v.names
            )
            WHEN s.number = 0 THEN 'there is none: with this server, everything since the last backup is lost'
            WHEN s.synchronous = 0 THEN format(
                '%s, none of them synchronous: a failover can lose acknowledged readings. '
                'Set synchronous_standby_names, or the synchronous mode of the cluster manager', s.number
            )
            ELSE format('%s, %s of them synchronous: acknowledged readings outlive a failover', s.number, s.synchronous)
        END,
        NOT v.is_standby AND v.is_visible AND s.synchronous = 0 AND (v.names IS NOT NULL OR s.number > 0)
    FROM standby AS s
    CROSS JOIN server AS v
    UNION ALL
    SELECT
        format(
            'TimescaleDB %s can leave jobs without a next run after a failover: with standbys, 2.26.4 or newer is needed',
            v.timescaledb
        ),
        TRUE
    FROM standby AS s
    CROSS JOIN server AS v
    WHERE
        (s.number > 0 OR v.names IS NOT NULL OR v.is_standby)
        AND string_to_array(substring(v.timescaledb, '^[0-9.]*[0-9]'), '.')::integer [] < ARRAY[2, 26, 4];
$$;

REVOKE EXECUTE ON FUNCTION ops.diagnose_standbys () FROM PUBLIC;

COMMENT ON FUNCTION ops.diagnose_standbys () IS
'The findings of ops.diagnose about standbys, a sentence a row, and is_fault if a failover could lose acknowledged readings or stop jobs';
