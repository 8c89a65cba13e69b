-- Nothing records that a DBA has replaced telemetry.default_meter_id.

CREATE OR REPLACE FUNCTION ops.recompute_sessions() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    INSERT INTO telemetry.stale_session (during) VALUES ('{(,)}');
$$;

REVOKE EXECUTE ON FUNCTION ops.recompute_sessions () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.recompute_sessions () TO energy_dba;

COMMENT ON FUNCTION ops.recompute_sessions () IS
'Declares all charging sessions stale, for instance after a change of telemetry.default_meter_id: the refresh of the aggregates computes them anew, a day of the fleet at a time. Sessions of dropped history stay';
