-- Dropped readings that are stored again, from an archive or a file: the aggregates are to follow them again.

CREATE OR REPLACE FUNCTION ops.take_up_again(p_object text, p_start timestamptz, p_end timestamptz) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    SELECT telemetry.note_dropped_chunks(p_object);
    UPDATE telemetry.dropped_time AS d SET times = d.times - tstzmultirange(tstzrange(p_start, p_end)) WHERE d.source = p_object;
$$;

REVOKE EXECUTE ON FUNCTION ops.take_up_again (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION ops.take_up_again (text, timestamptz, timestamptz) IS
'Declares that p_object, a history or aggregate with its schema of which [p_start, p_end) was dropped, is complete there again: the next refresh rebuilds the aggregates from it. Whatever is missing is lost to them';
