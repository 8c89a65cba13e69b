-- A trigger on the tables of the quarter hours, for refreshes by anybody but ops.refresh_aggregates. After those, TimescaleDB
-- forgets that the readings of that time have changed, and sessions have yet to follow them.

CREATE OR REPLACE FUNCTION telemetry.note_refreshed_quarter() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_bucket CONSTANT timestamptz := CASE WHEN tg_op = 'DELETE' THEN old.bucket ELSE new.bucket END;
BEGIN
    INSERT INTO telemetry.stale_session (during)
    SELECT tstzmultirange(tstzrange(v_bucket, v_bucket + INTERVAL '15 minutes'))
    WHERE NOT EXISTS (
        -- of the same transaction, so nobody takes it away before the refresh is committed
        SELECT FROM telemetry.stale_session AS s
        WHERE s.xmin = pg_current_xact_id()::xid AND s.vehicle_id IS NULL AND s.during @> v_bucket
    );
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_refreshed_quarter () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_refreshed_quarter () IS
'Adds the quarter hour of a row of bi.meter_15min or bi.vehicle_15min to telemetry.stale_session';
