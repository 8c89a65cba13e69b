-- Staleness as seen in a view. From its watermark on a view reads in real time, and is never stale there. Hours and
-- days read quarter hours, which may be stale below their own watermark. If somebody has refreshed hours or days past
-- the quarter hours, they miss the readings after those.

CREATE OR REPLACE FUNCTION telemetry.stale_times(p_aggregate text) RETURNS tstzmultirange
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_kind CONSTANT text := split_part(p_aggregate, '_', 1);
    v_resolution CONSTANT text := split_part(p_aggregate, '_', 2);
    v_watermark CONSTANT timestamptz := telemetry.held_until(p_aggregate);
    v_of_quarters timestamptz;
    v_times tstzmultirange := telemetry.unrefreshed_times(p_aggregate) * tstzmultirange(tstzrange(NULL, v_watermark));
BEGIN
    IF v_resolution <> '15min' THEN
        v_of_quarters := telemetry.held_until(v_kind || '_15min');
        v_times := v_times + telemetry.unrefreshed_times(v_kind || '_15min') * tstzmultirange(tstzrange(
            NULL,
            CASE
                WHEN v_watermark > v_of_quarters AND telemetry.has_readings(v_kind, v_of_quarters, v_watermark) THEN v_watermark
                ELSE v_of_quarters
            END
        ));
    END IF;
    RETURN telemetry.enclosing_buckets(v_times, v_resolution);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.stale_times (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.stale_times (text) IS
'The buckets, as times, in which the view bi.<p_aggregate> may differ from the history in this transaction';
