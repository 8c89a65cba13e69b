-- The energy of a whole fleet, of each device and in each hour, grouped in one scan of each piece of time. A row for each
-- device and hour, as telemetry.sum_buckets has it, would be half a million of them for a day of 20,000 devices. EXECUTE: as in
-- telemetry.sum_readings.

CREATE OR REPLACE FUNCTION telemetry.sum_fleet(
    p_stream text, p_start timestamptz, p_end timestamptz, p_exact boolean,
    p_by_device boolean DEFAULT FALSE, p_excluded_ids text [] DEFAULT '{}'
) RETURNS TABLE (device_id text, bucket timestamptz, kwh double precision)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_piece record;
BEGIN
    FOR v_piece IN
        SELECT s.source, s.piece_start, s.piece_end
        FROM telemetry.reading_sources(p_stream, p_start, p_end, 'hourly', p_exact) AS s
    LOOP
        RETURN QUERY EXECUTE format(
            'SELECT %1$s, h.hour, sum(s.%2$I)
            FROM %3$s AS s
            CROSS JOIN LATERAL (SELECT public.time_bucket(INTERVAL ''1 hour'', s.%4$I) AS hour) AS h
            WHERE s.%4$I >= $1 AND s.%4$I < $2 %5$s
            GROUP BY %6$s',
            CASE WHEN p_by_device THEN format('s.%I', p_stream || '_id') ELSE 'NULL::text' END,
            telemetry.energy_column(p_stream),
            CASE v_piece.source
                WHEN 'history' THEN format('telemetry.%I', p_stream || '_telemetry_history')::regclass
                ELSE telemetry.aggregate_table(p_stream || '_' || v_piece.source)
            END,
            CASE v_piece.source WHEN 'history' THEN 'counted_at' ELSE 'bucket' END,
            CASE WHEN cardinality(p_excluded_ids) > 0 THEN format('AND s.%I <> ALL ($3)', p_stream || '_id') END,
            CASE WHEN p_by_device THEN 'GROUPING SETS (1, 2)' ELSE '2' END
        )
        USING v_piece.piece_start, v_piece.piece_end, p_excluded_ids;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.sum_fleet (text, timestamptz, timestamptz, boolean, boolean, text []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.sum_fleet (text, timestamptz, timestamptz, boolean, boolean, text []) IS
'Energy (kWh) of the readings in [p_start, p_end) of all devices of a stream (meter or vehicle) but p_excluded_ids: in each hour of UTC (device_id is NULL) and, with p_by_device, of each device (bucket is NULL). Rows of the same hour or device are to be added up. p_exact: as in telemetry.fresh_times';
