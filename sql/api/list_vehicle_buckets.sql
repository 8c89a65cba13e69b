-- A page of a device's aggregates, in the same buckets as for BI, and exact at this moment.

CREATE OR REPLACE FUNCTION api.list_vehicle_buckets(
    p_vehicle_id text,
    p_resolution text,
    p_start timestamptz,
    p_end timestamptz,
    p_hours double precision,
    p_after timestamptz,
    p_limit integer
) RETURNS TABLE (
    bucket timestamptz,
    kwh_delivered_dc double precision,
    readings bigint,
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
    v_buckets record;
BEGIN
    PERFORM telemetry.require_device('vehicle', p_vehicle_id);
    SELECT b.first_start, b.last_end INTO v_buckets
    FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w
    CROSS JOIN LATERAL telemetry.resolve_buckets(
        p_resolution, greatest(w.window_start, p_after + INTERVAL '1 microsecond'), w.window_end
    ) AS b;

    RETURN QUERY
    SELECT b.bucket, b.kwh, b.readings, b.measure_min, b.measure_avg, b.measure_max, b.soc_first, b.soc_last, b.is_open
    FROM telemetry.list_buckets(
        'vehicle', p_resolution, v_buckets.first_start, v_buckets.last_end, ARRAY[p_vehicle_id], p_limit
    ) AS b;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_vehicle_buckets (
    text, text, timestamptz, timestamptz, double precision, timestamptz, integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_vehicle_buckets (
    text, text, timestamptz, timestamptz, double precision, timestamptz, integer
) TO energy_service;

COMMENT ON FUNCTION api.list_vehicle_buckets (
    text, text, timestamptz, timestamptz, double precision, timestamptz, integer
) IS
'At most p_limit buckets (p_resolution: 15min, hourly, daily) of a vehicle that begin in a window (as of api.get_vehicle_performance), after p_after, in order of time: energy (kWh), readings, battery temperature (degrees Celsius), state of charge (%), and is_open (the bucket is not over yet). Raises IE001 for an unknown vehicle, IE003 for an impossible window, IE004 for another resolution';
