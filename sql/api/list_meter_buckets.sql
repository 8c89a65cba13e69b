-- A page of what BI people see of a device, in the same buckets.

CREATE OR REPLACE FUNCTION api.list_meter_buckets(
    p_meter_id text,
    p_resolution text,
    p_start timestamptz,
    p_end timestamptz,
    p_hours double precision,
    p_after timestamptz,
    p_limit integer
) RETURNS TABLE (
    bucket timestamptz,
    kwh_consumed_ac double precision,
    readings bigint,
    voltage_min double precision,
    voltage_avg double precision,
    voltage_max double precision
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
    FROM telemetry.resolve_page('meter', p_meter_id, p_start, p_end, p_hours, p_after) AS p;

    -- EXECUTE: the bounds are constants to the planner, which opens the chunks of that time only
    RETURN QUERY EXECUTE format(
        $query$
            SELECT a.bucket, a.kwh_consumed_ac, a.readings, a.voltage_min, a.voltage_avg, a.voltage_max
            FROM bi.%I AS a
            WHERE a.meter_id = $1 AND a.bucket >= $2 AND a.bucket < $3
            ORDER BY a.bucket
            LIMIT $4
        $query$,
        'meter_' || p_resolution
    ) USING p_meter_id, v_page.page_start, v_page.page_end, p_limit;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_meter_buckets (
    text, text, timestamptz, timestamptz, double precision, timestamptz, integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_meter_buckets (
    text, text, timestamptz, timestamptz, double precision, timestamptz, integer
) TO energy_service;

COMMENT ON FUNCTION api.list_meter_buckets (
    text, text, timestamptz, timestamptz, double precision, timestamptz, integer
) IS
'At most p_limit rows of bi.meter_<p_resolution> (15min, hourly, daily) of a meter whose buckets begin in a window (as api.get_vehicle_performance has it), after p_after, in order of time: energy (kWh), readings, voltage (V). Raises IE002 for an unknown meter, IE003 for an impossible window, IE004 for another resolution';
