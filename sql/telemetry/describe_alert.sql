-- The words of an alert, for people: the value, the limit, the window.

CREATE OR REPLACE FUNCTION telemetry.describe_alert(p_rule ops.alert_rule, p_value double precision, p_details jsonb) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT CASE p_rule.kind
        WHEN 'efficiency_low' THEN format(
            'efficiency %s is below %s: of %s kWh AC, %s kWh DC were delivered in %s', p_value, p_rule.threshold,
            f.kwh_ac, f.kwh_dc, f.length
        )
        WHEN 'efficiency_impossible' THEN format(
            'efficiency is above %s: of %s kWh AC, %s kWh DC were delivered in %s', p_rule.threshold, f.kwh_ac, f.kwh_dc, f.length
        )
        WHEN 'charger_fading' THEN format(
            'efficiency fell from %s to %s, by more than %s, between the last %s and the four times as long time before',
            p_details ->> 'efficiency_ratio_before', p_details ->> 'efficiency_ratio', p_rule.threshold, f.length
        )
        WHEN 'device_silent' THEN format(
            'no reading since %s: more than %s expected intervals of %s s', regexp_replace(p_details ->> 'silent_since', '[.]0+Z', 'Z'), p_rule.threshold,
            trim_scale((p_details ->> 'expected_interval_s')::numeric)
        )
        WHEN 'battery_hot' THEN format(
            'battery temperature %s degrees Celsius, the mean of %s, is above %s', round(p_value::numeric, 1), f.length, p_rule.threshold
        )
        WHEN 'voltage_outside' THEN format(
            'voltage %s V, the mean of %s, is outside %s to %s V', round(p_value::numeric, 1), f.length, p_rule.threshold,
            p_rule.upper_threshold
        )
        WHEN 'data_incomplete' THEN format(
            '%s of %s expected readings arrived in %s, less than %s %%', p_details ->> 'readings',
            p_details ->> 'readings_expected', f.length, trim_scale(round(p_rule.threshold::numeric * 100, 2))
        )
        WHEN 'readings_rejected' THEN format('%s readings were rejected in %s, at least %s', p_value, f.length, p_rule.threshold)
        WHEN 'standby_high' THEN format(
            '%s kW AC on average, above %s kW, without any DC in %s', p_value, p_rule.threshold, f.length
        )
    END
    FROM (
        SELECT
            trim_scale(round((p_details ->> 'kwh_consumed_ac')::numeric, 3)) AS kwh_ac,
            trim_scale(round((p_details ->> 'kwh_delivered_dc')::numeric, 3)) AS kwh_dc,
            CASE
                WHEN mod(extract(EPOCH FROM p_rule.window_length), 86400) = 0
                    THEN extract(EPOCH FROM p_rule.window_length)::integer / 86400 || ' d'
                WHEN mod(extract(EPOCH FROM p_rule.window_length), 3600) = 0
                    THEN extract(EPOCH FROM p_rule.window_length)::integer / 3600 || ' h'
                ELSE extract(EPOCH FROM p_rule.window_length)::integer / 60 || ' min'
            END AS length
    ) AS f;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.describe_alert (ops.alert_rule, double precision, jsonb) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.describe_alert (ops.alert_rule, double precision, jsonb) IS
'The fault of an alert in words, with numbers and units, by its rule, value and details';
