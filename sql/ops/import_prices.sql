-- All lines of a file or none. One handler around the loop: a line that fails is named, and costs no savepoint of its own.

CREATE OR REPLACE FUNCTION ops.import_prices(p_lines jsonb, OUT prices bigint, OUT grid_intensities bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
DECLARE
    v_line record;
    v_hint text;
BEGIN
    PERFORM api.await_standbys();
    prices := 0;
    grid_intensities := 0;
    FOR v_line IN
        SELECT
            l.line, l.meter, l.valid_from, l.valid_to, l.price_per_kwh, l.currency, l.co2_g_per_kwh,
            coalesce(l.zone, 'default') AS zone,
            coalesce(l.days, '1234567') AS days,
            coalesce(l.local_from, '00:00') AS local_from,
            coalesce(l.local_until, '00:00') AS local_until
        FROM jsonb_to_recordset(p_lines) AS l (
            line bigint, zone text, meter text, valid_from timestamptz, valid_to timestamptz,
            price_per_kwh numeric, currency text, co2_g_per_kwh numeric, days text, local_from time, local_until time
        )
        ORDER BY l.line
    LOOP
        IF v_line.price_per_kwh IS NULL AND v_line.co2_g_per_kwh IS NULL THEN
            RAISE EXCEPTION 'price_per_kwh and co2_g_per_kwh are both empty' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF v_line.price_per_kwh IS NOT NULL OR v_line.currency IS NOT NULL THEN
            PERFORM ops.set_price(
                v_line.price_per_kwh, v_line.currency, v_line.zone, v_line.valid_from, v_line.valid_to, v_line.meter,
                v_line.days, v_line.local_from, v_line.local_until
            );
            prices := prices + 1;
        END IF;
        IF v_line.co2_g_per_kwh IS NOT NULL THEN
            PERFORM ops.set_grid_intensity(
                v_line.co2_g_per_kwh, v_line.zone, v_line.valid_from, v_line.valid_to, v_line.meter,
                v_line.days, v_line.local_from, v_line.local_until
            );
            grid_intensities := grid_intensities + 1;
        END IF;
    END LOOP;
EXCEPTION
    WHEN invalid_parameter_value OR exclusion_violation THEN
        GET STACKED DIAGNOSTICS v_hint = PG_EXCEPTION_HINT;
        RAISE EXCEPTION 'line %: %', v_line.line, sqlerrm USING ERRCODE = sqlstate, HINT = v_hint;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.import_prices (jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.import_prices (jsonb) TO energy_dba;

COMMENT ON FUNCTION ops.import_prices (jsonb) IS
'Sets the prices (currency/kWh) and grid intensities (g CO2/kWh) of a file, all of them or none, and returns how many of each. p_lines is an array of objects with line, the number that an error names, and the columns of the file: zone, meter, valid_from, valid_to, price_per_kwh, currency, co2_g_per_kwh, days, local_from, local_until; NULL as in ops.set_price and ops.set_grid_intensity, whose errors it raises';
