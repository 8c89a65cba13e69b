-- The quarter hours are refreshed first, and sessions with them: whatever these do not show yet, sessions do not, either.

CREATE OR REPLACE FUNCTION telemetry.stale_session_times() RETURNS tstzmultirange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT
        telemetry.unrefreshed_times('vehicle_15min') + telemetry.unrefreshed_times('meter_15min')
        + coalesce((SELECT range_agg(s.during) FROM telemetry.stale_session AS s WHERE s.vehicle_id IS NULL), '{}');
$$;

REVOKE EXECUTE ON FUNCTION telemetry.stale_session_times () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.stale_session_times () IS
'The times, as telemetry.counted_at, for which the stored charging sessions of any vehicle may differ from the history; telemetry.stale_session has those of single vehicles';
