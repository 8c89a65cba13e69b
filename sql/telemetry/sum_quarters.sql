-- The quarter hours that an aggregate cannot give: parts of one, and stale ones. For telemetry.energy_cost, whose callers may
-- not read the history. EXECUTE plans with the bounds as constants, so only the chunks of that time are opened.

CREATE OR REPLACE FUNCTION telemetry.sum_quarters(p_meter_id text, p_times tstzmultirange)
RETURNS TABLE (bucket timestamptz, kwh double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_span tstzrange;
BEGIN
    FOREACH v_span IN ARRAY ARRAY(SELECT t.span FROM unnest(p_times) AS t (span)) LOOP
        RETURN QUERY EXECUTE
            'SELECT public.time_bucket(''15 minutes'', h.counted_at), sum(h.kwh_consumed_ac)
            FROM telemetry.meter_telemetry_history AS h
            WHERE h.meter_id = $1 AND h.counted_at >= $2 AND h.counted_at < $3
            GROUP BY 1'
        USING p_meter_id, lower(v_span), upper(v_span);
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.sum_quarters (text, tstzmultirange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.sum_quarters (text, tstzmultirange) TO energy_bi;

COMMENT ON FUNCTION telemetry.sum_quarters (text, tstzmultirange) IS
'AC energy (kWh) of a meter in the quarter hours of p_times, from the history; a quarter hour with two parts in p_times has two rows';
