-- An archive is a file that others may have written: each row is judged as a reading that comes in, but for its age. The
-- fingerprint is taken here, as a manifest may name any.

CREATE OR REPLACE FUNCTION ops.prepare_restore(
    p_kind text, p_rows regclass, p_start timestamptz, p_end timestamptz, OUT fault text, OUT fingerprint numeric
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_measures text := CASE p_kind
        WHEN 'meter' THEN 'voltage = CASE WHEN telemetry.ignore_voltage(voltage) IS NULL THEN voltage END'
        WHEN 'vehicle' THEN
            'soc = CASE WHEN telemetry.ignore_soc(soc) IS NULL THEN soc END, '
            'battery_temp = CASE WHEN telemetry.ignore_battery_temp(battery_temp) IS NULL THEN battery_temp END'
    END;
    v_ignored text := CASE p_kind
        WHEN 'meter' THEN 'telemetry.ignore_voltage(voltage) IS NOT NULL'
        WHEN 'vehicle' THEN
            'telemetry.ignore_soc(soc) IS NOT NULL OR telemetry.ignore_battery_temp(battery_temp) IS NOT NULL'
    END;
    v_rejection text := CASE p_kind
        WHEN 'meter' THEN
            'telemetry.reject_meter_reading(meter_id, recorded_at, kwh_consumed_ac, voltage, recorded_at, INTERVAL ''0'')'
        WHEN 'vehicle' THEN
            'telemetry.reject_vehicle_reading('
            'vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, recorded_at, INTERVAL ''0'')'
    END;
    v_columns text;
BEGIN
    EXECUTE format(
        'SELECT format(''%%s (%%s, %%s)'',
            coalesce(
                (r.rejection).detail,
                CASE
                    WHEN r.recorded_at < $1 OR r.recorded_at > $2 THEN ''timestamp is outside the chunk''
                    WHEN isfinite(r.received_at) IS NOT TRUE THEN ''received_at is missing or infinite''
                    ELSE (r.register).detail
                END
            ),
            coalesce(regexp_replace(left(r.device_id, 64), ''[^ -~]'', ''?'', ''g''), ''no id''),
            coalesce(r.recorded_at::text, ''no time'')
        )
        FROM (
            SELECT
                %s AS device_id, recorded_at, received_at, %s AS rejection,
                CASE
                    WHEN register_kwh IS NOT NULL
                        THEN telemetry.check_value(''register_kwh'', register_kwh, 0, 1e7, ''kWh'')
                END AS register
            FROM %s
        ) AS r
        WHERE
            r.rejection IS NOT NULL OR r.register IS NOT NULL OR r.recorded_at < $1 OR r.recorded_at > $2
            OR isfinite(r.received_at) IS NOT TRUE
        LIMIT 1',
        quote_ident(p_kind || '_id'), v_rejection, p_rows
    ) INTO fault USING p_start, p_end;
    IF fault IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('UPDATE %s SET %s WHERE %s', p_rows, v_measures, v_ignored);
    SELECT
        string_agg(
            CASE a.attname WHEN 'counted_at' THEN 'telemetry.counted_at(recorded_at)' ELSE quote_ident(a.attname) END,
            ', ' ORDER BY a.attnum
        )
    INTO v_columns
    FROM pg_attribute AS a
    WHERE
        a.attrelid = format('telemetry.%I', p_kind || '_telemetry_history')::regclass
        AND a.attnum > 0 AND NOT a.attisdropped;
    EXECUTE format(
        'SELECT coalesce(sum(hash_record_extended(r, 0)), 0) FROM (SELECT %s FROM %s) AS r', v_columns, p_rows
    ) INTO fingerprint;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.prepare_restore (text, regclass, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION ops.prepare_restore (text, regclass, timestamptz, timestamptz) IS
'Judges rows of an archive of a kind''s chunk from p_start to p_end, as ops.restore_readings takes them, as readings that come in, but for their age. Names the first fault, or else sets measures outside their range to NULL, and returns the fingerprint of the rows as ops.summarize_readings would';
