-- For changes that a DBA means: they are findings of ops.diagnose no longer.

CREATE OR REPLACE FUNCTION ops.accept_drift() RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    SELECT ops.record_schema();
    SELECT telemetry.note_dropped_chunks(d.source) FROM telemetry.dropped_time AS d;
    UPDATE telemetry.dropped_time AS d SET dropped_until = greatest(d.dropped_until, upper(d.times))
    WHERE NOT isempty(d.times);
$$;

REVOKE EXECUTE ON FUNCTION ops.accept_drift () FROM PUBLIC;

COMMENT ON FUNCTION ops.accept_drift () IS
'Takes the present schema, and the times that are dropped up to now, for right. To be called as energy_owner';
