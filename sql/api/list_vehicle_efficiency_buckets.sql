-- AC beside DC of one vehicle, bucket by bucket, with what its battery did: what a page about it draws, in one call. A bucket
-- belongs, whole, to the meter that feeds the vehicle at its start, as in bi.vehicle_efficiency_hourly.

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
    soc_last double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_most CONSTANT integer := 3000;
    v_width CONSTANT interval := telemetry.bucket_width(p_resolution);
    v_window record;
    v_meter_ids text[];
BEGIN
    PERFORM telemetry.require_vehicle(p_vehicle_id);
    SELECT w.window_start, w.window_end INTO v_window FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w;
    IF v_window.window_end - v_window.window_start > v_most * v_width THEN
        RAISE EXCEPTION 'the window has more than % buckets of %: choose a longer resolution', v_most, p_resolution
            USING ERRCODE = 'IE003';
    END IF;
    v_meter_ids := ARRAY(SELECT m.meter_id FROM bi.vehicle_meter AS m WHERE m.vehicle_id = p_vehicle_id);

    -- EXECUTE: ids and bounds are constants to the planner, which opens the chunks of that time only
    RETURN QUERY EXECUTE format(
        $query$
            SELECT
                coalesce(v.bucket, m.bucket),
                m.meter_id,
                round(m.kwh_consumed_ac::numeric, 9)::double precision,
                round(v.kwh_delivered_dc::numeric, 9)::double precision,
                telemetry.efficiency_ratio(m.kwh_consumed_ac, v.kwh_delivered_dc),
                telemetry.efficiency_status(m.kwh_consumed_ac, v.kwh_delivered_dc),
                v.battery_temp_min, v.battery_temp_avg, v.battery_temp_max, v.soc_first, v.soc_last
            FROM (
                SELECT a.*
                FROM bi.%1$I AS a
                WHERE a.vehicle_id = $1 AND a.bucket >= $3 AND a.bucket < $4
            ) AS v
            FULL JOIN (
                SELECT a.meter_id, a.bucket, a.kwh_consumed_ac
                FROM bi.%2$I AS a
                JOIN bi.vehicle_meter AS l
                    ON
                        a.meter_id = l.meter_id
                        AND (l.valid_from IS NULL OR a.bucket >= l.valid_from)
                        AND (l.valid_until IS NULL OR a.bucket < l.valid_until)
                WHERE l.vehicle_id = $1 AND a.meter_id = ANY ($2) AND a.bucket >= $3 AND a.bucket < $4
            ) AS m ON v.bucket = m.bucket
            ORDER BY 1
        $query$,
        'vehicle_' || p_resolution, 'meter_' || p_resolution
    ) USING p_vehicle_id, v_meter_ids, v_window.window_start, v_window.window_end;
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
'The buckets (p_resolution: 15min, hourly, daily) of a vehicle that begin in a window (as api.get_vehicle_performance has it; of at most 3,000 buckets), in order of time: the meter that feeds it at the start, AC consumed and DC delivered (kWh; NULL without a reading on that side), their ratio and what it says, battery temperature (degrees Celsius), state of charge (%). Raises IE001 for an unknown vehicle, IE003 for an impossible window or one of more buckets, IE004 for another resolution';
