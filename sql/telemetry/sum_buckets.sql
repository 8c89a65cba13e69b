-- The buckets of a window as in the history at this moment. The source is the aggregate of their resolution if it is
-- fresh, else quarter hours or readings. So routes with buckets agree with routes with sums. Each piece is planned with
-- its bounds as constants, as in telemetry.sum_readings.

CREATE OR REPLACE FUNCTION telemetry.sum_buckets(
    p_kind text, p_resolution text, p_start timestamptz, p_end timestamptz,
    p_device_ids text [] DEFAULT NULL, p_exact boolean DEFAULT TRUE, p_limit integer DEFAULT NULL
) RETURNS TABLE (
    device_id text,
    bucket timestamptz,
    kwh double precision,
    readings bigint,
    measure_min double precision,
    measure_max double precision,
    measure_sum double precision,
    measure_readings bigint,
    soc_first double precision,
    soc_last double precision,
    piece_start timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_width CONSTANT interval := telemetry.bucket_width(p_resolution);
    v_zone CONSTANT text := CASE WHEN p_resolution = 'daily' THEN (SELECT f.time_zone FROM telemetry.fleet AS f) ELSE 'UTC' END;
    v_measure CONSTANT text := telemetry.measure_column(p_kind);
    v_piece record;
BEGIN
    FOR v_piece IN
        SELECT s.source, s.piece_start, s.piece_end
        FROM telemetry.reading_sources(p_kind, p_start, p_end, p_resolution, p_exact) AS s
        ORDER BY s.piece_start
    LOOP
        RETURN QUERY EXECUTE format(
            CASE v_piece.source
                WHEN 'history' THEN $query$
                    SELECT
                        h.%1$I, public.time_bucket($4, h.counted_at, $5) AS bucket, sum(h.%2$I), count(*),
                        min(h.%3$I), max(h.%3$I), sum(h.%3$I), count(h.%3$I), %5$s, $1
                    FROM %4$s AS h
                    WHERE h.counted_at >= $1 AND h.counted_at < $2 AND ($3 IS NULL OR h.%1$I = ANY ($3))
                    GROUP BY 1, 2
                    ORDER BY 2
                    LIMIT $6
                $query$
                ELSE $query$
                    SELECT
                        a.%1$I, public.time_bucket($4, a.bucket, $5) AS bucket, sum(a.%2$I), sum(a.readings)::bigint,
                        min(a.%3$s_min), max(a.%3$s_max), sum(a.%3$s_sum), sum(a.%3$s_readings)::bigint, %6$s, $1
                    FROM %4$s AS a
                    WHERE a.bucket >= $1 AND a.bucket < $2 AND ($3 IS NULL OR a.%1$I = ANY ($3))
                    GROUP BY 1, 2
                    ORDER BY 2
                    LIMIT $6
                $query$
            END,
            p_kind || '_id', telemetry.energy_column(p_kind), v_measure,
            CASE v_piece.source
                WHEN 'history' THEN format('telemetry.%I', p_kind || '_telemetry_history')
                ELSE telemetry.aggregate_table(p_kind || '_' || v_piece.source)::text
            END,
            CASE p_kind
                WHEN 'vehicle' THEN
                    'public.first(h.soc, h.counted_at) FILTER (WHERE h.soc IS NOT NULL), '
                    'public.last(h.soc, h.counted_at) FILTER (WHERE h.soc IS NOT NULL)'
                ELSE 'NULL::double precision, NULL::double precision'
            END,
            CASE p_kind
                WHEN 'vehicle' THEN
                    'public.first(a.soc_first, a.bucket) FILTER (WHERE a.soc_first IS NOT NULL), '
                    'public.last(a.soc_last, a.bucket) FILTER (WHERE a.soc_last IS NOT NULL)'
                ELSE 'NULL::double precision, NULL::double precision'
            END
        )
        USING v_piece.piece_start, v_piece.piece_end, p_device_ids, v_width, v_zone, p_limit;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.sum_buckets (
    text, text, timestamptz, timestamptz, text [], boolean, integer
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.sum_buckets (
    text, text, timestamptz, timestamptz, text [], boolean, integer
) IS
'Parts of the buckets (p_resolution: 15min, hourly, daily) of a kind''s devices (p_device_ids; NULL for all) from p_start to p_end, which are bounds of buckets: energy (kWh), readings, lowest, highest, sum and number of measured voltages (V) or battery temperatures (degrees Celsius), first and last state of charge (%). A bucket of a device may have several rows, to be added up, in the order of piece_start. At most the first p_limit buckets are complete (NULL for all). p_exact: as in telemetry.fresh_times';
