-- ops.list_standbys shows the standbys, and whether a failover could lose acknowledged readings. pg_stat_replication shows
-- them to members of pg_read_all_stats only. A login that may not grant that goes on without: `energy doctor` then says so.

DO $$
BEGIN
    IF NOT pg_catalog.pg_has_role('energy_owner', 'pg_read_all_stats', 'USAGE') THEN
        GRANT pg_read_all_stats TO energy_owner;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'energy_owner cannot see standbys: a superuser may GRANT pg_read_all_stats TO energy_owner';
END;
$$;
