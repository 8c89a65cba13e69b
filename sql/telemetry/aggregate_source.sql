-- Quarter hours are made of readings, hours and days of quarter hours.

CREATE OR REPLACE FUNCTION telemetry.aggregate_source(p_aggregate text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN split_part(p_aggregate, '_', 2) = '15min' THEN 'telemetry.' || split_part(p_aggregate, '_', 1) || '_telemetry_history'
    ELSE 'bi.' || split_part(p_aggregate, '_', 1) || '_15min'
END;

REVOKE EXECUTE ON FUNCTION telemetry.aggregate_source (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.aggregate_source (text) IS
'The history or aggregate, with its schema, that is the source of the aggregate bi.<p_aggregate>';
