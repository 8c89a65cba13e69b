-- Called by energy archive after the file has been read back and compared.

CREATE OR REPLACE FUNCTION ops.record_archive(
    p_kind text, p_range_start timestamptz, p_range_end timestamptz, p_readings bigint, p_fingerprint numeric,
    p_location text, p_sha256 text
) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT api.await_standbys();
    INSERT INTO ops.archived_chunk (kind, range_start, range_end, readings, fingerprint, location, sha256)
    VALUES (p_kind, p_range_start, p_range_end, p_readings, p_fingerprint, p_location, p_sha256)
    ON CONFLICT (kind, range_start) DO UPDATE SET
        range_end = excluded.range_end,
        readings = excluded.readings,
        fingerprint = excluded.fingerprint,
        location = excluded.location,
        sha256 = excluded.sha256,
        verified_at = now(),
        dropped_at = NULL;
$$;

REVOKE EXECUTE ON FUNCTION ops.record_archive (
    text, timestamptz, timestamptz, bigint, numeric, text, text
) FROM PUBLIC;

COMMENT ON FUNCTION ops.record_archive (text, timestamptz, timestamptz, bigint, numeric, text, text) IS
'Records that a chunk has a verified copy at p_location, of p_readings rows, taken when ops.summarize_readings gave p_fingerprint';
