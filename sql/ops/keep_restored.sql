-- A restored chunk is as old as at its drop: without this record the next run of the job would drop it again. It is
-- complete, so the aggregates follow it again.

CREATE OR REPLACE FUNCTION ops.keep_restored(p_kind text, p_range_start timestamptz, p_until timestamptz) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT api.await_standbys();
    UPDATE ops.archived_chunk AS a SET dropped_at = NULL, keep_until = p_until
    WHERE a.kind = p_kind AND a.range_start = p_range_start;
    SELECT ops.take_up_again('telemetry.' || a.kind || '_telemetry_history', a.range_start, a.range_end)
    FROM ops.archived_chunk AS a
    WHERE a.kind = p_kind AND a.range_start = p_range_start;
$$;

REVOKE EXECUTE ON FUNCTION ops.keep_restored (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION ops.keep_restored (text, timestamptz, timestamptz) IS
'Records that an archived chunk has been restored, and must stay until p_until';
