-- A trigger on the tables of the quarter hours, for refreshes by anybody but ops.refresh_aggregates. After those, TimescaleDB
-- forgets that the readings of that time have changed, and sessions have yet to follow them. A statement adds one row.

CREATE OR REPLACE FUNCTION telemetry.note_refreshed_quarters() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    INSERT INTO telemetry.stale_session (during)
    SELECT q.times
    FROM (
        SELECT range_agg(tstzrange(c.bucket, c.bucket + INTERVAL '15 minutes')) AS times
        FROM (SELECT DISTINCT bucket FROM changed) AS c
    ) AS q
    WHERE q.times IS NOT NULL;
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_refreshed_quarters () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_refreshed_quarters () IS
'Adds the quarter hours of the changed rows of bi.meter_15min or bi.vehicle_15min to telemetry.stale_session';
