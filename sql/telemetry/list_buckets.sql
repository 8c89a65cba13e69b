-- The parts of telemetry.sum_buckets, added up.

CREATE OR REPLACE FUNCTION telemetry.list_buckets(
    p_kind text, p_resolution text, p_start timestamptz, p_end timestamptz, p_device_ids text [],
    p_limit integer DEFAULT NULL
) RETURNS TABLE (
    device_id text,
    bucket timestamptz,
    kwh double precision,
    readings bigint,
    measure_min double precision,
    measure_avg double precision,
    measure_max double precision,
    soc_first double precision,
    soc_last double precision,
    is_open boolean
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT
        s.device_id, s.bucket, sum(s.kwh), sum(s.readings)::bigint,
        min(s.measure_min), sum(s.measure_sum) / nullif(sum(s.measure_readings), 0)::double precision, max(s.measure_max),
        public.first(s.soc_first, s.piece_start) FILTER (WHERE s.soc_first IS NOT NULL),
        public.last(s.soc_last, s.piece_start) FILTER (WHERE s.soc_last IS NOT NULL),
        s.bucket + telemetry.bucket_length(p_resolution, s.bucket) > now()
    FROM telemetry.sum_buckets(p_kind, p_resolution, p_start, p_end, p_device_ids, TRUE, p_limit) AS s
    GROUP BY s.device_id, s.bucket
    ORDER BY s.bucket, s.device_id
    LIMIT p_limit;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_buckets (
    text, text, timestamptz, timestamptz, text [], integer
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_buckets (
    text, text, timestamptz, timestamptz, text [], integer
) IS
'The buckets (p_resolution: 15min, hourly, daily) with readings of some devices of a kind (meter or vehicle), from p_start to p_end, which are bounds of buckets, in order of time: energy (kWh), readings, voltage (V) or battery temperature (degrees Celsius), first and last state of charge (%), and is_open (the bucket is not over yet); at most p_limit (of one device)';
