-- The energy of a whole fleet, of each device, in each hour, and of today, in one scan of each piece of time. A row for
-- each device and hour, as in telemetry.sum_buckets, would be half a million for a day of 20,000 devices. EXECUTE: as
-- in telemetry.sum_readings.

CREATE OR REPLACE FUNCTION telemetry.sum_fleet(
    p_kind text, p_start timestamptz, p_end timestamptz, p_today_start timestamptz, p_exact boolean,
    p_excluded_ids text [] DEFAULT '{}'
) RETURNS TABLE (device_id text, bucket timestamptz, kwh double precision, kwh_today double precision)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_piece record;
    v_time text;
BEGIN
    FOR v_piece IN
        SELECT s.source, s.piece_start, s.piece_end
        FROM telemetry.reading_sources(p_kind, least(p_start, p_today_start), p_end, 'hourly', p_exact) AS s
    LOOP
        v_time := CASE v_piece.source WHEN 'history' THEN 's.counted_at' ELSE 's.bucket' END;
        RETURN QUERY EXECUTE format(
            'SELECT s.%1$I, %2$s, sum(s.%3$I) FILTER (WHERE %4$s >= $3 %5$s), sum(s.%3$I) FILTER (WHERE %4$s >= $4)
            FROM %6$s AS s
            WHERE %4$s >= $1 AND %4$s < $2
            GROUP BY GROUPING SETS (1, 2, ())',
            p_kind || '_id',
            CASE v_piece.source WHEN 'hourly' THEN v_time ELSE format('public.time_bucket(INTERVAL ''1 hour'', %s)', v_time) END,
            telemetry.energy_column(p_kind),
            v_time,
            CASE WHEN cardinality(p_excluded_ids) > 0 THEN format('AND s.%I <> ALL ($5)', p_kind || '_id') END,
            CASE v_piece.source
                WHEN 'history' THEN format('telemetry.%I', p_kind || '_telemetry_history')::regclass
                ELSE telemetry.aggregate_table(p_kind || '_' || v_piece.source)
            END
        )
        USING v_piece.piece_start, v_piece.piece_end, p_start, p_today_start, p_excluded_ids;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.sum_fleet (text, timestamptz, timestamptz, timestamptz, boolean, text []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.sum_fleet (text, timestamptz, timestamptz, timestamptz, boolean, text []) IS
'Energy (kWh) of the devices of a kind (meter or vehicle): in kwh, of the readings in [p_start, p_end) of all but p_excluded_ids, of each device (bucket is NULL) and in each hour of UTC (device_id is NULL); in kwh_today, of all readings in [p_today_start, p_end), where both are NULL. NULL without such a reading. Rows of the same device or hour are to be added up. p_exact: as in telemetry.fresh_times';
