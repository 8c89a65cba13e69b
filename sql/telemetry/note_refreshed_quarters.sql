-- A trigger on the tables of the quarter hours, for refreshes by anybody but ops.refresh_aggregates. After those, TimescaleDB
-- forgets that the readings of that time have changed, and sessions have yet to follow them. A statement adds one row. Nobody
-- tells which rows a statement has deleted: they are among the quarter hours without a row.

CREATE OR REPLACE FUNCTION telemetry.note_refreshed_quarters() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_aggregate record;
    v_times tstzmultirange;
BEGIN
    IF TG_OP = 'DELETE' THEN
        SELECT a.mat_hypertable_id, a.user_view_name INTO v_aggregate
        FROM _timescaledb_catalog.continuous_agg AS a
        WHERE a.user_view_schema = 'bi' AND telemetry.aggregate_table(a.user_view_name) = TG_RELID;
        EXECUTE format(
            'SELECT coalesce(range_agg(tstzrange(q.bucket, q.bucket + INTERVAL ''15 minutes'')), ''{}'')
            FROM (SELECT DISTINCT bucket FROM %s) AS q', TG_RELID::regclass
        ) INTO v_times;
        v_times := telemetry.chunk_times(v_aggregate.mat_hypertable_id)
            * tstzmultirange(tstzrange(NULL, telemetry.held_until(v_aggregate.user_view_name))) - v_times;
    ELSE
        SELECT range_agg(tstzrange(c.bucket, c.bucket + INTERVAL '15 minutes')) INTO v_times
        FROM (SELECT DISTINCT bucket FROM changed) AS c;
    END IF;
    INSERT INTO telemetry.stale_session (during) SELECT v_times WHERE NOT isempty(v_times);
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_refreshed_quarters () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_refreshed_quarters () IS
'Adds the quarter hours of the changed rows of bi.meter_15min or bi.vehicle_15min to telemetry.stale_session; after a DELETE, those without a row';
