-- One step of the work that telemetry.stale_session asks for: the vehicles of some times, or a day of the fleet, newest
-- first. Only notes that were read before the computation are taken away, so a later one is never lost. A refresh of the
-- other kind may be under way: its notes stay until it is done.

CREATE OR REPLACE FUNCTION telemetry.store_noted_sessions(p_kind text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_kept CONSTANT tstzmultirange := (
        SELECT telemetry.chunk_times(h.id) - telemetry.frozen_times()
        FROM _timescaledb_catalog.hypertable AS h
        WHERE h.schema_name = 'telemetry' AND h.table_name = 'vehicle_telemetry_history'
    );
    v_note record;
    v_newest tstzrange;
    v_piece tstzmultirange;
BEGIN
    -- times that the other kind has yet to refresh: its run notes them, and computes both sides at once
    UPDATE telemetry.stale_session AS s
    SET during = s.during - telemetry.unrefreshed_times(CASE p_kind WHEN 'meter' THEN 'vehicle_15min' ELSE 'meter_15min' END)
    WHERE s.kind = p_kind;
    -- nothing is left to compute of times without readings
    DELETE FROM telemetry.stale_session AS s WHERE coalesce(s.kind, p_kind) = p_kind AND NOT s.during && v_kept;

    SELECT array_agg(s.note_id) AS ids, array_agg(s.vehicle_id) AS vehicle_ids, s.during INTO v_note
    FROM telemetry.stale_session AS s
    WHERE s.vehicle_id IS NOT NULL
    GROUP BY s.during
    LIMIT 1;
    IF found THEN
        PERFORM telemetry.store_sessions(v_note.vehicle_ids, v_note.during);
        DELETE FROM telemetry.stale_session AS s WHERE s.note_id = ANY (v_note.ids);
        RETURN TRUE;
    END IF;

    SELECT array_agg(s.note_id) AS ids, range_agg(s.during) * v_kept AS times INTO v_note
    FROM telemetry.stale_session AS s
    WHERE coalesce(s.kind, p_kind) = p_kind;
    IF v_note.ids IS NULL THEN
        RETURN FALSE;
    END IF;
    SELECT t.span INTO v_newest FROM unnest(v_note.times) AS t (span) ORDER BY t.span DESC LIMIT 1;
    v_piece := tstzmultirange(tstzrange(
        greatest(lower(v_newest), coalesce(upper(v_newest), now()) - INTERVAL '1 day'), upper(v_newest)
    ));
    PERFORM telemetry.store_sessions(NULL, v_piece);
    UPDATE telemetry.stale_session AS s SET during = s.during - v_piece WHERE s.note_id = ANY (v_note.ids);
    RETURN TRUE;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.store_noted_sessions (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.store_noted_sessions (text) IS
'Computes a part of the charging sessions that telemetry.stale_session names, and takes it away there; called by the refresh of a kind (meter or vehicle). True if there may be more';
