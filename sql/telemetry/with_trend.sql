-- Adds to a few vehicles what became of them day by day. A day belongs to the meter that feeds the vehicle at its start, as
-- in bi.vehicle_efficiency_daily; that view would walk through the days of all meters for these few.

CREATE OR REPLACE FUNCTION telemetry.with_trend(p_vehicles jsonb, p_start timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_vehicle_ids CONSTANT text[] := ARRAY(SELECT e.value ->> 'vehicleId' FROM jsonb_array_elements(p_vehicles) AS e);
    v_meter_ids CONSTANT text[] := ARRAY(
        SELECT m.meter_id FROM bi.vehicle_meter AS m WHERE m.vehicle_id = ANY (v_vehicle_ids)
    );
    v_result jsonb;
BEGIN
    EXECUTE format(
        $query$
            WITH side AS (
                SELECT l.vehicle_id, m.bucket, m.kwh_consumed_ac AS kwh_ac, NULL::double precision AS kwh_dc
                FROM bi.vehicle_meter AS l
                JOIN %1$s AS m
                    ON
                        l.meter_id = m.meter_id
                        AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
                        AND (l.valid_until IS NULL OR m.bucket < l.valid_until)
                WHERE l.vehicle_id = ANY ($2) AND m.meter_id = ANY ($3) AND m.bucket >= $4
                UNION ALL
                SELECT v.vehicle_id, v.bucket, NULL, v.kwh_delivered_dc
                FROM %2$s AS v
                WHERE v.vehicle_id = ANY ($2) AND v.bucket >= $4
            ),
            day AS (
                SELECT s.vehicle_id, s.bucket, telemetry.efficiency_ratio(sum(s.kwh_ac), sum(s.kwh_dc)) AS ratio
                FROM side AS s
                GROUP BY s.vehicle_id, s.bucket
            )
            SELECT coalesce(jsonb_agg(e.value || jsonb_build_object('trend', (
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'bucket', telemetry.format_utc(d.bucket), 'efficiencyRatio', d.ratio
                ) ORDER BY d.bucket), '[]')
                FROM day AS d
                WHERE d.vehicle_id = e.value ->> 'vehicleId'
            )) ORDER BY e.number), '[]')
            FROM jsonb_array_elements($1) WITH ORDINALITY AS e (value, number)
        $query$,
        telemetry.fleet_source('meter_daily'), telemetry.fleet_source('vehicle_daily')
    ) INTO v_result USING p_vehicles, v_vehicle_ids, v_meter_ids, p_start;
    RETURN v_result;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.with_trend (jsonb, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.with_trend (jsonb, timestamptz) IS
'The JSON array p_vehicles, each of its objects (which has a vehicleId) with its efficiency in each day from p_start on as trend';
