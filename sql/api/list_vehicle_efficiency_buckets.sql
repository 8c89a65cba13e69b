-- AC beside DC of one vehicle by bucket, with its battery: all data of its page in one call, exact at this moment. A
-- bucket belongs as a whole to the meter that feeds the vehicle at its start, as in bi.vehicle_efficiency_hourly.

CREATE OR REPLACE FUNCTION api.list_vehicle_efficiency_buckets(
    p_vehicle_id text,
    p_resolution text,
    p_start timestamptz,
    p_end timestamptz,
    p_hours double precision
) RETURNS TABLE (
    bucket timestamptz,
    meter_id text,
    kwh_consumed_ac double precision,
    kwh_delivered_dc double precision,
    efficiency_ratio double precision,
    efficiency_status text,
    battery_temp_min double precision,
    battery_temp_avg double precision,
    battery_temp_max double precision,
    soc_first double precision,
    soc_last double precision,
    is_open boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_most CONSTANT integer := 3000;
    v_width CONSTANT interval := telemetry.bucket_width(p_resolution);
    v_standby_kw CONSTANT double precision := (SELECT f.standby_kw FROM telemetry.fleet AS f);
    v_vehicle_interval CONSTANT interval := telemetry.device_interval('vehicle', p_vehicle_id);
    v_window record;
    v_buckets record;
    v_meter_ids text[];
BEGIN
    PERFORM telemetry.require_vehicle(p_vehicle_id);
    SELECT w.window_start, w.window_end INTO v_window FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w;
    IF v_window.window_end - v_window.window_start > v_most * v_width THEN
        RAISE EXCEPTION 'the window has more than % buckets of %: choose a longer resolution', v_most, p_resolution
            USING ERRCODE = 'IE003';
    END IF;
    SELECT b.first_start, b.last_end INTO v_buckets
    FROM telemetry.resolve_buckets(p_resolution, v_window.window_start, v_window.window_end) AS b;
    v_meter_ids := ARRAY(SELECT m.meter_id FROM bi.vehicle_meter AS m WHERE m.vehicle_id = p_vehicle_id);

    RETURN QUERY
    WITH consumed AS MATERIALIZED (
        SELECT
            m.device_id AS meter_id, m.bucket, m.kwh, m.is_open,
            greatest(telemetry.device_interval('meter', m.device_id), v_vehicle_interval) AS longer_interval
        FROM telemetry.list_buckets(
            'meter', p_resolution, v_buckets.first_start, v_buckets.last_end, v_meter_ids
        ) AS m
        JOIN bi.vehicle_meter AS l
            ON
                l.vehicle_id = p_vehicle_id
                AND m.device_id = l.meter_id
                AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
                AND (l.valid_until IS NULL OR m.bucket < l.valid_until)
    )
    SELECT
        b.bucket,
        m.meter_id,
        round(m.kwh::numeric, 9)::double precision,
        round(v.kwh::numeric, 9)::double precision,
        telemetry.efficiency_ratio(m.kwh, v.kwh, telemetry.bucket_length(p_resolution, b.bucket), m.longer_interval, v_standby_kw),
        telemetry.efficiency_status(m.kwh, v.kwh, telemetry.bucket_length(p_resolution, b.bucket), m.longer_interval, v_standby_kw),
        v.measure_min, v.measure_avg, v.measure_max, v.soc_first, v.soc_last,
        coalesce(v.is_open, m.is_open)
    FROM telemetry.list_buckets(
        'vehicle', p_resolution, v_buckets.first_start, v_buckets.last_end, ARRAY[p_vehicle_id]
    ) AS v
    FULL JOIN consumed AS m ON v.bucket = m.bucket
    CROSS JOIN LATERAL (SELECT coalesce(v.bucket, m.bucket) AS bucket) AS b
    ORDER BY 1;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_vehicle_efficiency_buckets (
    text, text, timestamptz, timestamptz, double precision
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_vehicle_efficiency_buckets (
    text, text, timestamptz, timestamptz, double precision
) TO energy_service;

COMMENT ON FUNCTION api.list_vehicle_efficiency_buckets (
    text, text, timestamptz, timestamptz, double precision
) IS
'The buckets (p_resolution: 15min, hourly, daily) of a vehicle that begin in a window (as of api.get_vehicle_performance; of at most 3,000 buckets), in order of time: the meter that feeds it at the start, AC consumed and DC delivered (kWh; NULL without a reading on that side), their ratio and its status, battery temperature (degrees Celsius), state of charge (%), and is_open (the bucket is not over yet). Raises IE001 for an unknown vehicle, IE003 for an impossible window or one of more buckets, IE004 for another resolution';
