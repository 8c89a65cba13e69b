-- A restored chunk is as old as when it was dropped: without this it would go with the next run of the job. It is whole, so
-- the aggregates follow it again.

CREATE OR REPLACE FUNCTION ops.keep_restored(p_kind text, p_range_start timestamptz, p_until timestamptz) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    UPDATE ops.archived_chunk AS a SET dropped_at = NULL, keep_until = p_until
    WHERE a.kind = p_kind AND a.range_start = p_range_start;
    SELECT ops.take_up_again('telemetry.' || a.kind || '_telemetry_history', a.range_start, a.range_end)
    FROM ops.archived_chunk AS a
    WHERE a.kind = p_kind AND a.range_start = p_range_start;
$$;

REVOKE EXECUTE ON FUNCTION ops.keep_restored (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION ops.keep_restored (text, timestamptz, timestamptz) IS
'Notes that an archived chunk has been restored, and is to stay until p_until';
