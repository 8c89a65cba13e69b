-- A page of what BI people see of a device, in the same buckets.

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
    soc_last double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_page record;
BEGIN
    PERFORM telemetry.bucket_width(p_resolution);
    SELECT p.page_start, p.page_end INTO v_page
    FROM telemetry.resolve_page('vehicle', p_vehicle_id, p_start, p_end, p_hours, p_after) AS p;

    -- EXECUTE: the bounds are constants to the planner, which opens the chunks of that time only
    RETURN QUERY EXECUTE format(
        $query$
            SELECT a.bucket, a.kwh_delivered_dc, a.readings, a.battery_temp_min, a.battery_temp_avg, a.battery_temp_max, a.soc_first, a.soc_last
            FROM bi.%I AS a
            WHERE a.vehicle_id = $1 AND a.bucket >= $2 AND a.bucket < $3
            ORDER BY a.bucket
            LIMIT $4
        $query$,
        'vehicle_' || p_resolution
    ) USING p_vehicle_id, v_page.page_start, v_page.page_end, p_limit;
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
'At most p_limit rows of bi.vehicle_<p_resolution> (15min, hourly, daily) of a vehicle whose buckets begin in a window (as api.get_vehicle_performance has it), after p_after, in order of time: energy (kWh), readings, battery temperature (degrees Celsius), state of charge (%). Raises IE001 for an unknown vehicle, IE003 for an impossible window, IE004 for another resolution';
