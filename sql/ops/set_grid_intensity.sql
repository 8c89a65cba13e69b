-- As ops.set_price.

CREATE OR REPLACE FUNCTION ops.set_grid_intensity(
    p_co2_g_per_kwh numeric,
    p_zone text DEFAULT 'default',
    p_valid_from timestamptz DEFAULT NULL,
    p_valid_until timestamptz DEFAULT NULL,
    p_meter_id text DEFAULT NULL,
    p_days text DEFAULT '1234567',
    p_local_from time DEFAULT '00:00',
    p_local_until time DEFAULT '00:00'
) RETURNS ops.grid_intensity
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
DECLARE
    v_during CONSTANT tstzrange := ops.resolve_validity(
        p_zone, p_valid_from, p_valid_until, p_meter_id, p_days, p_local_from, p_local_until
    );
    v_until CONSTANT time := CASE p_local_until WHEN '24:00' THEN '00:00' ELSE p_local_until END; -- many clients have no 24:00
    v_row ops.grid_intensity;
BEGIN
    PERFORM api.await_standbys();
    IF NOT coalesce(p_co2_g_per_kwh BETWEEN 0 AND 10000, FALSE) THEN
        RAISE EXCEPTION 'co2_g_per_kwh must be from 0 to 10000 g/kWh, not %', coalesce(p_co2_g_per_kwh::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    UPDATE ops.grid_intensity AS p SET co2_g_per_kwh = p_co2_g_per_kwh
    WHERE
        p.zone = p_zone AND coalesce(p.meter_id, '') = coalesce(p_meter_id, '') AND p.during = v_during
        AND p.days = p_days AND p.local_from = p_local_from AND p.local_until = v_until
    RETURNING p.* INTO v_row;
    IF FOUND THEN
        RETURN v_row;
    END IF;

    SELECT p.* INTO v_row FROM ops.grid_intensity AS p
    WHERE
        p.zone = p_zone AND coalesce(p.meter_id, '') = coalesce(p_meter_id, '') AND p.during && v_during
        AND p.week && ops.week_minutes(p_days, p_local_from, v_until)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'grid intensity overlaps grid intensity % of %', v_row.grid_intensity_id, v_row.during
            USING ERRCODE = 'exclusion_violation',
            HINT = format('ops.remove_grid_intensity(%s) removes that, and with a time as the second argument ends it', v_row.grid_intensity_id);
    END IF;
    INSERT INTO ops.grid_intensity (zone, meter_id, during, days, local_from, local_until, co2_g_per_kwh)
    VALUES (p_zone, p_meter_id, v_during, p_days, p_local_from, v_until, p_co2_g_per_kwh)
    RETURNING * INTO v_row;
    RETURN v_row;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_grid_intensity (
    numeric, text, timestamptz, timestamptz, text, text, time, time
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_grid_intensity (
    numeric, text, timestamptz, timestamptz, text, text, time, time
) TO energy_dba;

COMMENT ON FUNCTION ops.set_grid_intensity (
    numeric, text, timestamptz, timestamptz, text, text, time, time
) IS
'Sets the grid intensity of AC energy (CO2 in g/kWh, from 0 to 10000): for all times without valid_from and valid_until, for all meters of the zone without a meter, and with days and local times on these only. A row of the same times is changed. Returns the row. Takes effect at once, for all times. Raises invalid_parameter_value for a value or time that is not allowed (ops.resolve_validity), exclusion_violation where it overlaps another row';
