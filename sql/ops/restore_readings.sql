-- Rows are restored unchanged, with the server's time and the registers: the history becomes the archived one. The
-- current status is not touched, as archived readings are old. Safe to repeat.

CREATE OR REPLACE FUNCTION ops.restore_readings(p_kind text, p_rows regclass) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_columns text;
    v_values text;
    v_stored bigint;
BEGIN
    PERFORM api.await_standbys();
    SELECT
        string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
        string_agg(
            CASE a.attname WHEN 'counted_at' THEN 'telemetry.counted_at(recorded_at)' ELSE quote_ident(a.attname) END,
            ', ' ORDER BY a.attnum
        )
    INTO v_columns, v_values
    FROM pg_attribute AS a
    WHERE
        a.attrelid = format('telemetry.%I', p_kind || '_telemetry_history')::regclass
        AND a.attnum > 0 AND NOT a.attisdropped;
    EXECUTE format(
        'INSERT INTO telemetry.%1$I (%2$s) SELECT %3$s FROM %4$s ORDER BY %5$I, recorded_at ON CONFLICT DO NOTHING',
        p_kind || '_telemetry_history', v_columns, v_values, p_rows, p_kind || '_id'
    );
    GET DIAGNOSTICS v_stored = ROW_COUNT;
    RETURN v_stored;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.restore_readings (text, regclass) FROM PUBLIC;

COMMENT ON FUNCTION ops.restore_readings (text, regclass) IS
'Stores the rows of p_rows in the history of a kind, and returns the number of rows that were absent. p_rows is a table with the columns of that history, but with recorded_at, the device''s own time, for counted_at';
