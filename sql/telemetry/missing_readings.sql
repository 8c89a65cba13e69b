-- A device without a declared interval is judged by its own times. A gap is compared with the shorter of the two gaps before it,
-- and with the shorter of the two after it. If it is longer than both, readings are missing in it. So persistent loss is seen. A
-- new interval loses nothing, nor does an extra reading. Gaps under a minute tell nothing, as in telemetry.observe_interval. A
-- window that ends before the gaps after it does not count it. EXECUTE: planned with its bounds as constants, so only the chunks
-- of that time are opened.

CREATE OR REPLACE FUNCTION telemetry.missing_readings(
    p_kind text, p_start timestamptz, p_end timestamptz, p_device_ids text []
) RETURNS TABLE (device_id text, bucket timestamptz, known_since timestamptz, known_at timestamptz, readings bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        $query$
            SELECT
                m.device_id, telemetry.quarter_of(m.counted_at - n.number * m.gap / (m.missing + 1)) AS bucket,
                telemetry.quarter_of(m.known_since), telemetry.quarter_of(m.known_at), count(*)
            FROM (
                SELECT
                    g.*,
                    floor(extract(EPOCH FROM g.gap)::double precision / extract(EPOCH FROM greatest(
                        least(lag(g.gap) OVER w, lag(g.gap, 2) OVER w), least(lead(g.gap) OVER w, lead(g.gap, 2) OVER w),
                        INTERVAL '1 minute'
                    ))::double precision + 0.5)::bigint - 1 AS missing,
                    lag(g.counted_at, 3) OVER w AS known_since,
                    lead(g.counted_at, 2) OVER w AS known_at
                FROM (
                    SELECT
                        h.%1$I AS device_id, h.counted_at,
                        h.counted_at - lag(h.counted_at) OVER (PARTITION BY h.%1$I ORDER BY h.counted_at) AS gap
                    FROM telemetry.%2$I AS h
                    WHERE h.counted_at >= $1 AND h.counted_at < $2 AND h.%1$I = ANY ($3)
                ) AS g
                WINDOW w AS (PARTITION BY g.device_id ORDER BY g.counted_at)
            ) AS m
            CROSS JOIN LATERAL generate_series(1, m.missing) AS n (number)
            WHERE m.missing > 0 AND m.known_since IS NOT NULL AND m.known_at IS NOT NULL
            GROUP BY 1, 2, 3, 4
        $query$,
        p_kind || '_id', p_kind || '_telemetry_history'
    )
    USING p_start, p_end, p_device_ids;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.missing_readings (text, timestamptz, timestamptz, text []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.missing_readings (text, timestamptz, timestamptz, text []) IS
'Number of readings that devices of a kind have lost, by the gaps between their readings in [p_start, p_end), in the quarter hour (bucket) in which each was due. Known by readings from the quarter hour known_since to the quarter hour known_at';
