-- Refreshes by hand are noted in every case. Of a quarter hour that has lost all its readings, a refresh only deletes rows.
-- ops.refresh_aggregates now names the statement that it runs in: the setting of a failed run holds for nothing after it.

SET LOCAL ROLE energy_owner;

DO $$
DECLARE
    v_trigger record;
BEGIN
    FOR v_trigger IN
        SELECT
            format('%I.%I', h.schema_name, h.table_name)::pg_catalog.regclass AS materialized,
            e.event,
            -- TimescaleDB has no transition tables of deleted rows
            CASE WHEN e.event <> 'delete' THEN 'REFERENCING NEW TABLE AS changed' END AS changed
        FROM _timescaledb_catalog.continuous_agg AS a
        JOIN _timescaledb_catalog.hypertable AS h ON a.mat_hypertable_id = h.id
        CROSS JOIN (VALUES ('insert'), ('update'), ('delete')) AS e (event)
        WHERE a.user_view_schema = 'bi' AND a.user_view_name IN ('meter_15min', 'vehicle_15min')
    LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS note_refreshed_quarters_%2$s ON %1$s', v_trigger.materialized, v_trigger.event);
        EXECUTE format(
            $sql$
            CREATE TRIGGER note_refreshed_quarters_%2$s AFTER %2$s ON %1$s %3$s FOR EACH STATEMENT
            WHEN (
                pg_catalog.current_setting('energy.sessions_follow', TRUE)
                IS DISTINCT FROM extract(EPOCH FROM pg_catalog.statement_timestamp())::text
            )
            EXECUTE FUNCTION telemetry.note_refreshed_quarters()
            $sql$, v_trigger.materialized, v_trigger.event, v_trigger.changed
        );
    END LOOP;
END;
$$;
