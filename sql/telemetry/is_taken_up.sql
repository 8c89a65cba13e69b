-- The condition for dropping a chunk without loss to its aggregates, or to charging sessions. Above the watermark of an
-- aggregate only rows count: a silent fleet leaves the end of its last chunk unmaterialized, and empty.

CREATE OR REPLACE FUNCTION telemetry.is_taken_up(p_object text, p_start timestamptz, p_end timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, ops, pg_temp
AS $$
DECLARE
    v_aggregate text;
    v_source text;
    v_watermark timestamptz;
    v_has_rows boolean;
BEGIN
    IF p_object LIKE '%\_telemetry\_history' AND EXISTS (
        SELECT FROM telemetry.stale_session AS s
        WHERE s.during && tstzmultirange(tstzrange(p_start, p_end + 3 * telemetry.session_reach()))
    ) THEN
        RETURN FALSE;
    END IF;
    FOR v_aggregate, v_source IN
        SELECT substr(p.object, 4), telemetry.aggregate_source(substr(p.object, 4))
        FROM ops.policy AS p
        WHERE p.object LIKE 'bi.%' AND (
            telemetry.aggregate_source(substr(p.object, 4)) = p_object
            -- sessions are made of both histories, and follow the quarter hours of both
            OR (p_object LIKE '%\_telemetry\_history' AND p.object LIKE '%\_15min')
        )
    LOOP
        v_watermark := telemetry.held_until(v_aggregate);
        IF telemetry.unrefreshed_times(v_aggregate) && (
            tstzmultirange(tstzrange(p_start, p_end)) * tstzmultirange(tstzrange(NULL, v_watermark))
        ) THEN
            RETURN FALSE;
        END IF;
        IF v_watermark < p_end THEN
            EXECUTE format(
                'SELECT EXISTS (SELECT FROM %s AS s WHERE s.%I >= $1 AND s.%2$I < $2)',
                ops.policy_table(v_source), CASE WHEN v_source LIKE 'bi.%' THEN 'bucket' ELSE 'counted_at' END
            ) INTO v_has_rows USING greatest(v_watermark, p_start), p_end;
            IF v_has_rows THEN
                RETURN FALSE;
            END IF;
        END IF;
    END LOOP;
    RETURN TRUE;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.is_taken_up (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.is_taken_up (text, timestamptz, timestamptz) IS
'True if every aggregate of p_object (a history or aggregate with its schema), and the charging sessions, include all of its readings in [p_start, p_end)';
