-- The one place that sums energies for an answer. EXECUTE plans each piece with its bounds and its device as constants,
-- so only the chunks of that time are opened. The cost follows the window, not the history. For a whole fleet, hours
-- replace quarter hours if possible: one statement more, and a fourth of the rows. A caller that needs no measure spares
-- half of the time of compressed readings. plan_cache_mode: the list of pieces would else be planned in each call; EXECUTE
-- plans anyway. max_parallel_workers_per_gather: the key serves the newest minutes of a whole fleet well, as it skips from
-- device to device. But the planner takes that for a scan of the whole key, and would let all processors scan the day.

CREATE OR REPLACE FUNCTION telemetry.sum_readings(
    p_kind text, p_start timestamptz, p_end timestamptz, p_device_id text DEFAULT NULL, p_with_measure boolean DEFAULT TRUE
) RETURNS TABLE (
    device_id text, kwh double precision, readings bigint, measure_sum double precision, measure_readings bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_generic_plan
SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    v_measure CONSTANT text := telemetry.measure_column(p_kind);
    v_piece record;
BEGIN
    FOR v_piece IN
        SELECT f.source, f.piece_start, f.piece_end
        FROM telemetry.reading_sources(p_kind, p_start, p_end) AS s
        CROSS JOIN LATERAL (
            SELECT h.source, h.piece_start, h.piece_end
            FROM telemetry.reading_sources(p_kind, s.piece_start, s.piece_end, 'hourly') AS h
            WHERE s.source = '15min' AND p_device_id IS NULL
            UNION ALL
            SELECT s.source, s.piece_start, s.piece_end
            WHERE s.source <> '15min' OR p_device_id IS NOT NULL
        ) AS f
    LOOP
        RETURN QUERY EXECUTE format(
            CASE v_piece.source
                WHEN 'history' THEN $query$
                    SELECT h.%1$I, sum(h.%2$I), count(*), %3$s
                    FROM telemetry.%4$I AS h
                    WHERE h.counted_at >= $1 AND h.counted_at < $2 AND ($3 IS NULL OR h.%1$I = $3)
                    GROUP BY h.%1$I
                $query$
                ELSE $query$
                    SELECT a.%1$I, sum(a.%2$I), sum(a.readings)::bigint, %3$s
                    FROM %5$s AS a
                    WHERE a.bucket >= $1 AND a.bucket < $2 AND ($3 IS NULL OR a.%1$I = $3)
                    GROUP BY a.%1$I
                $query$
            END,
            p_kind || '_id',
            telemetry.energy_column(p_kind),
            CASE
                WHEN NOT p_with_measure THEN 'NULL::double precision, NULL::bigint'
                WHEN v_piece.source = 'history' THEN format('sum(h.%1$I), count(h.%1$I)', v_measure)
                ELSE format('sum(a.%I), sum(a.%I)::bigint', v_measure || '_sum', v_measure || '_readings')
            END,
            p_kind || '_telemetry_history',
            telemetry.aggregate_table(p_kind || '_' || v_piece.source)
        )
        USING v_piece.piece_start, v_piece.piece_end, p_device_id;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.sum_readings (text, timestamptz, timestamptz, text, boolean) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.sum_readings (text, timestamptz, timestamptz, text, boolean) IS
'Energy (kWh), readings, and sum and number of measured voltages (V) or battery temperatures (degrees Celsius) in a kind''s readings in [p_start, p_end), of one device or (NULL) of each that has any; without p_with_measure, the measures are NULL; one row per device and piece of telemetry.reading_sources, to be added up';
