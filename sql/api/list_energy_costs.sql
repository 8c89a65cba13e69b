-- Cost and CO2 of a vehicle or of the fleet, exact at this moment. Quarter hours that are stale in the aggregate are read
-- from the history. Months are added up of days, as each day compares its quarter hours with its own prices only. The energy
-- of the fleet is added up by zone first.

CREATE OR REPLACE FUNCTION api.list_energy_costs(
    p_vehicle_id text,
    p_resolution text,
    p_start timestamptz,
    p_end timestamptz,
    p_hours double precision
) RETURNS TABLE (
    bucket timestamptz,
    currency text,
    kwh_consumed_ac double precision,
    kwh_priced double precision,
    cost double precision,
    kwh_with_intensity double precision,
    co2_kg double precision,
    is_open boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_zone CONSTANT text := (SELECT f.time_zone FROM telemetry.fleet AS f);
    v_unit CONSTANT text := CASE p_resolution WHEN 'daily' THEN 'day' WHEN 'monthly' THEN 'month' END;
    v_window record;
BEGIN
    PERFORM telemetry.require_value('resolution', v_unit IS NOT NULL, 'daily or monthly');
    IF p_vehicle_id IS NOT NULL THEN
        PERFORM telemetry.require_vehicle(p_vehicle_id);
    END IF;
    SELECT w.window_start, w.window_end INTO v_window FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w;

    RETURN QUERY
    WITH bucket AS (
        SELECT b.local, b.local AT TIME ZONE v_zone AS starts
        FROM generate_series(
            date_trunc(v_unit, v_window.window_start AT TIME ZONE v_zone), v_window.window_end AT TIME ZONE v_zone,
            ('1 ' || v_unit)::interval
        ) AS b (local)
        WHERE b.local AT TIME ZONE v_zone >= v_window.window_start AND b.local AT TIME ZONE v_zone < v_window.window_end
    ),
    day AS (
        SELECT b.starts AS bucket, d.local AT TIME ZONE v_zone AS starts, (d.local + INTERVAL '1 day') AT TIME ZONE v_zone AS ends
        FROM bucket AS b
        CROSS JOIN LATERAL generate_series(
            b.local, least(b.local + ('1 ' || v_unit)::interval - INTERVAL '1 day', now() AT TIME ZONE v_zone), INTERVAL '1 day'
        ) AS d (local)
    ),
    meter AS MATERIALIZED (
        SELECT m.meter_id, m.valid_from, m.valid_until
        FROM bi.vehicle_meter AS m
        WHERE m.vehicle_id = p_vehicle_id
    ),
    fleet_day AS (
        SELECT
            d.bucket, d.starts, d.ends, q.meter_id,
            array_agg(q.quarter) AS quarters, array_agg(q.kwh) AS kwh
        FROM (
            SELECT f.meter_id, f.bucket AS quarter, sum(f.kwh) AS kwh
            FROM telemetry.fleet_quarters(
                (SELECT min(d.starts) FROM day AS d), (SELECT max(d.ends) FROM day AS d)
            ) AS f
            WHERE p_vehicle_id IS NULL
            GROUP BY f.meter_id, f.bucket
        ) AS q
        JOIN day AS d ON q.quarter >= d.starts AND q.quarter < d.ends
        GROUP BY d.bucket, d.starts, d.ends, q.meter_id
    ),
    cost AS (
        SELECT d.bucket, c.*
        FROM day AS d
        JOIN meter AS m
            ON (m.valid_from IS NULL OR m.valid_from < d.ends) AND (m.valid_until IS NULL OR m.valid_until > d.starts)
        CROSS JOIN LATERAL telemetry.energy_cost(
            m.meter_id, greatest(d.starts, m.valid_from), least(d.ends, m.valid_until),
            (SELECT telemetry.unheld_times('meter_15min', TRUE))
        ) AS c
        UNION ALL
        SELECT f.bucket, c.*
        FROM fleet_day AS f
        CROSS JOIN LATERAL telemetry.price_energy(f.meter_id, f.starts, f.ends, f.quarters, f.kwh) AS c
    )
    SELECT
        c.bucket,
        c.currency,
        round(sum(c.kwh_consumed_ac), 9)::double precision,
        round(sum(c.kwh_priced), 9)::double precision,
        round(sum(c.cost), 6)::double precision,
        round(sum(c.kwh_with_intensity), 9)::double precision,
        round(sum(c.co2_kg), 6)::double precision,
        (c.bucket AT TIME ZONE v_zone + ('1 ' || v_unit)::interval) AT TIME ZONE v_zone > now()
    FROM cost AS c
    GROUP BY c.bucket, c.currency
    ORDER BY c.bucket, c.currency;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_energy_costs (
    text, text, timestamptz, timestamptz, double precision
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_energy_costs (
    text, text, timestamptz, timestamptz, double precision
) TO energy_service;

COMMENT ON FUNCTION api.list_energy_costs (text, text, timestamptz, timestamptz, double precision) IS
'AC energy of a vehicle (NULL for all vehicles), its cost and CO2, in the days or months (p_resolution: daily, monthly; of the fleet''s time zone) that begin in a window (as of api.get_vehicle_performance), in order of time: a row for each currency, and one (currency and cost NULL) for energy without a price. Energy (kWh), of it energy with a price (kWh), cost (in the currency, 6 decimals), energy with a grid intensity (kWh), CO2 (kg), and is_open (the bucket is not over yet). Raises IE001 for an unknown vehicle, IE003 for an impossible window, IE004 for another resolution';
