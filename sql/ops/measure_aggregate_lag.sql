-- An aggregate is behind where readings are there that a tier should have taken up: TimescaleDB's logs may name times in
-- which nothing was sent, and its watermark stays where the last reading was. EXECUTE plans with the bounds as constants, so
-- that only the chunks of these times are opened.

CREATE OR REPLACE FUNCTION ops.measure_aggregate_lag() RETURNS TABLE (
    aggregate text, materialized_until timestamptz, behind interval, stale_ranges tstzmultirange, health text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_policy ops.policy;
    v_history text;
    v_limit timestamptz;
    v_stale tstzrange;
    v_first timestamptz;
    c_first_reading CONSTANT text := 'SELECT min(h.recorded_at) FROM telemetry.%I AS h WHERE h.recorded_at >= $1 AND h.recorded_at < $2';
BEGIN
    FOR v_policy IN SELECT p.* FROM ops.policy AS p WHERE p.object LIKE 'bi.%' ORDER BY p.object
    LOOP
        aggregate := v_policy.object;
        v_limit := now() - v_policy.live_end - telemetry.bucket_width(split_part(aggregate, '_', 2));

        materialized_until := telemetry.held_until(substr(aggregate, 4));
        IF materialized_until <= '0001-01-01' THEN  -- the first moment there is, before anything is materialized
            materialized_until := NULL;
        END IF;

        v_history := split_part(substr(aggregate, 4), '_', 1) || '_telemetry_history';
        v_first := NULL;
        IF materialized_until < v_limit OR materialized_until IS NULL THEN
            EXECUTE format(c_first_reading, v_history)
            INTO v_first
            USING coalesce(materialized_until, now() - v_policy.late_start), v_limit;
        END IF;
        behind := coalesce(v_limit - v_first, INTERVAL '0');

        stale_ranges := '{}';
        FOR v_stale IN
            SELECT t.span
            FROM unnest(
                telemetry.stale_times(substr(aggregate, 4))
                * tstzmultirange(tstzrange('-infinity', least(materialized_until, v_limit)))
            ) AS t (span)
            WHERE materialized_until IS NOT NULL
        LOOP
            EXECUTE format(c_first_reading, v_history) INTO v_first USING lower(v_stale), upper(v_stale);
            IF v_first IS NOT NULL THEN
                stale_ranges := stale_ranges + tstzmultirange(v_stale);
            END IF;
        END LOOP;
        health := CASE
            WHEN behind > 2 * (v_policy.live_every + INTERVAL '5 minutes') THEN 'late'
            -- what imports have stored is refreshed whatever its age
            WHEN lower(stale_ranges) < now() - v_policy.late_start AND NOT EXISTS (SELECT FROM telemetry.stale_day)
                THEN 'unreached'
            ELSE 'ok'
        END;
        RETURN NEXT;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.measure_aggregate_lag () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.measure_aggregate_lag () TO energy_dba;

COMMENT ON FUNCTION ops.measure_aggregate_lag () IS 'The rows of ops.aggregate_lag';
