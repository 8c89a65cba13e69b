-- Two summaries of a chunk. A reader of its copy can compute the sums, too; by the fingerprint the database itself sees
-- any change.

CREATE OR REPLACE FUNCTION ops.summarize_readings(
    p_kind text, p_start timestamptz, p_end timestamptz,
    OUT readings bigint, OUT fingerprint numeric, OUT devices bigint, OUT sums jsonb
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_sums text;
BEGIN
    SELECT string_agg(format('%L, sum(h.%I)', a.attname, a.attname), ', ' ORDER BY a.attnum)
    INTO v_sums
    FROM pg_attribute AS a
    WHERE
        a.attrelid = format('telemetry.%I', p_kind || '_telemetry_history')::regclass
        AND a.atttypid = 'double precision'::regtype AND a.attnum > 0 AND NOT a.attisdropped;
    EXECUTE format(
        'SELECT
            count(*), coalesce(sum(hash_record_extended(h, 0)), 0), count(DISTINCT h.%I), jsonb_build_object(%s)
        FROM telemetry.%I AS h
        WHERE h.counted_at >= $1 AND h.counted_at < $2',
        p_kind || '_id', v_sums, p_kind || '_telemetry_history'
    )
    INTO readings, fingerprint, devices, sums
    USING p_start, p_end;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.summarize_readings (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION ops.summarize_readings (text, timestamptz, timestamptz) IS
'Of a kind''s readings in [p_start, p_end): their number, the sum of the hashes of the rows, the number of devices, and the sum of each column of numbers (in its unit; null without any)';
