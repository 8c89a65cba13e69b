-- The one place where energies are added up for an answer. EXECUTE plans each piece with its bounds and its device as
-- constants, so that only the chunks of that time are opened: the cost follows the window, not the history.

CREATE OR REPLACE FUNCTION telemetry.sum_readings(
    p_stream text, p_start timestamptz, p_end timestamptz, p_device_id text DEFAULT NULL
) RETURNS TABLE (device_id text, kwh double precision, readings bigint, measure_sum double precision)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_measure CONSTANT text := CASE p_stream WHEN 'meter' THEN 'voltage' ELSE 'battery_temp' END;
    v_piece record;
BEGIN
    FOR v_piece IN
        SELECT s.source, s.piece_start, s.piece_end
        FROM telemetry.reading_sources(p_stream, p_start, p_end) AS s
    LOOP
        RETURN QUERY EXECUTE format(
            CASE v_piece.source
                WHEN 'history' THEN $query$
                    SELECT h.%1$I, sum(h.%2$I), count(*), sum(h.%3$I)
                    FROM telemetry.%4$I AS h
                    WHERE h.recorded_at >= $1 AND h.recorded_at < $2 AND ($3 IS NULL OR h.%1$I = $3)
                    GROUP BY h.%1$I
                $query$
                ELSE $query$
                    SELECT a.%1$I, sum(a.%2$I), sum(a.readings)::bigint, sum(a.%5$I)
                    FROM %6$s AS a
                    WHERE a.bucket >= $1 AND a.bucket < $2 AND ($3 IS NULL OR a.%1$I = $3)
                    GROUP BY a.%1$I
                $query$
            END,
            p_stream || '_id', telemetry.energy_column(p_stream), v_measure, p_stream || '_telemetry_history',
            v_measure || '_sum', telemetry.aggregate_table(p_stream || '_' || v_piece.source)
        )
        USING v_piece.piece_start, v_piece.piece_end, p_device_id;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.sum_readings (text, timestamptz, timestamptz, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.sum_readings (text, timestamptz, timestamptz, text) IS
'Energy (kWh), readings, and sum of the voltage (V) or battery temperature (degrees Celsius) of a stream''s readings in [p_start, p_end), of one device or (NULL) of each that has any; one row per device and piece of telemetry.reading_sources, to be added up';
