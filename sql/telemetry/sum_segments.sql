-- Sums of many devices, each over its own times, in a few statements: a fleet that was linked today has two pieces a
-- vehicle. Times outside the aggregates are read day by day, so that each statement is planned with the bounds of its
-- chunks.

CREATE OR REPLACE FUNCTION telemetry.sum_segments(
    p_kind text, p_device_ids text [], p_starts timestamptz [], p_ends timestamptz []
) RETURNS TABLE (segment bigint, kwh double precision, readings bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = on
AS $$
DECLARE
    v_fresh record;
    v_pieces record;
BEGIN
    SELECT f.quarters, f.coarse INTO v_fresh
    FROM telemetry.fresh_times(
        p_kind, (SELECT min(s.start) FROM unnest(p_starts) AS s (start)), (SELECT max(e.until) FROM unnest(p_ends) AS e (until)),
        'daily', TRUE
    ) AS f;

    FOR v_pieces IN
        SELECT
            t.source,
            array_agg(s.segment) AS segments,
            array_agg(s.device_id) AS device_ids,
            array_agg(t.piece_start) AS starts,
            array_agg(t.piece_end) AS ends,
            min(t.piece_start) AS first,
            max(t.piece_end) AS last
        FROM unnest(p_device_ids, p_starts, p_ends) WITH ORDINALITY AS s (device_id, start, until, segment)
        CROSS JOIN LATERAL telemetry.split_times(s.start, s.until, 'daily', v_fresh.quarters, v_fresh.coarse) AS t
        GROUP BY t.source, CASE t.source WHEN 'history' THEN date_trunc('day', t.piece_start, 'UTC') END
    LOOP
        RETURN QUERY EXECUTE format(
            'SELECT p.segment, sum(a.%2$I), %5$s
            FROM unnest($1, $2, $3, $4) AS p (segment, device_id, piece_start, piece_end)
            JOIN %3$s AS a ON a.%1$I = p.device_id AND a.%4$I >= p.piece_start AND a.%4$I < p.piece_end
            WHERE a.%4$I >= $5 AND a.%4$I < $6
            GROUP BY p.segment',
            p_kind || '_id',
            telemetry.energy_column(p_kind),
            CASE v_pieces.source
                WHEN 'history' THEN format('telemetry.%I', p_kind || '_telemetry_history')::regclass
                ELSE telemetry.aggregate_table(p_kind || '_' || v_pieces.source)
            END,
            CASE v_pieces.source WHEN 'history' THEN 'counted_at' ELSE 'bucket' END,
            CASE v_pieces.source WHEN 'history' THEN 'count(*)' ELSE 'sum(a.readings)::bigint' END
        )
        USING v_pieces.segments, v_pieces.device_ids, v_pieces.starts, v_pieces.ends, v_pieces.first, v_pieces.last;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.sum_segments (text, text [], timestamptz [], timestamptz []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.sum_segments (text, text [], timestamptz [], timestamptz []) IS
'Energy (kWh) and readings of a kind''s devices, each in its own [start, end): segment is the position in the arrays, from 1; rows of a segment are to be added up, and one without readings has none';
