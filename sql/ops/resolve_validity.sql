-- The times of a price, checked once for prices and grid intensities. Quarter hours are what cost is joined at, so no
-- price may begin within one.

CREATE OR REPLACE FUNCTION ops.resolve_validity(
    p_zone text,
    p_valid_from timestamptz,
    p_valid_until timestamptz,
    p_meter_id text,
    p_days text,
    p_local_from time,
    p_local_until time
) RETURNS tstzrange
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
DECLARE
    v_from CONSTANT timestamptz := nullif(p_valid_from, '-infinity');
    v_until CONSTANT timestamptz := nullif(p_valid_until, 'infinity');
    v_meters_zone CONSTANT text := coalesce((SELECT m.zone FROM ops.meter_zone AS m WHERE m.meter_id = p_meter_id), 'default');
    v_fault CONSTANT text := CASE
        WHEN NOT isfinite(v_from) OR NOT isfinite(v_until) OR v_from >= v_until
            THEN format('valid_from %s must lie before valid_until %s', p_valid_from, p_valid_until)
        WHEN public.time_bucket('15 minutes', v_from) <> v_from
            THEN format('valid_from %s is not a whole quarter hour', telemetry.format_utc(v_from))
        WHEN public.time_bucket('15 minutes', v_until) <> v_until
            THEN format('valid_until %s is not a whole quarter hour', telemetry.format_utc(v_until))
        WHEN p_days IS NULL OR p_days !~ '^1?2?3?4?5?6?7?$' OR p_days = ''
            THEN format(
                'days must be digits from 1 (Monday) to 7 (Sunday) in this order, as 12345, not %s', coalesce(p_days, 'NULL')
            )
        WHEN p_local_from IS NULL OR mod(extract(EPOCH FROM p_local_from), 900) <> 0 OR p_local_from = '24:00'
            THEN format(
                'local_from must be a whole quarter hour from 00:00 to 23:45, not %s', coalesce(p_local_from::text, 'NULL')
            )
        WHEN p_local_until IS NULL OR mod(extract(EPOCH FROM p_local_until), 900) <> 0
            THEN format(
                'local_until must be a whole quarter hour from 00:00 to 24:00, not %s', coalesce(p_local_until::text, 'NULL')
            )
        WHEN p_meter_id IS NOT NULL THEN (telemetry.check_device_id('meter', p_meter_id)).detail
    END;
BEGIN
    IF NOT EXISTS (SELECT FROM ops.price_zone AS z WHERE z.zone = p_zone) THEN
        RAISE EXCEPTION 'zone % is unknown', coalesce(p_zone, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'ops.set_price_zone makes a zone';
    END IF;
    IF v_fault IS NOT NULL THEN
        RAISE EXCEPTION '%', v_fault USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_meter_id IS NOT NULL AND v_meters_zone <> p_zone THEN
        RAISE EXCEPTION 'meter % is in zone %, not in %', p_meter_id, v_meters_zone, p_zone
            USING ERRCODE = 'invalid_parameter_value', HINT = 'ops.set_meter_zone changes the zone of a meter';
    END IF;
    RETURN tstzrange(v_from, v_until);
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.resolve_validity (
    text, timestamptz, timestamptz, text, text, time, time
) FROM PUBLIC;

COMMENT ON FUNCTION ops.resolve_validity (text, timestamptz, timestamptz, text, text, time, time) IS
'The validity of a price or grid intensity as a range. Raises invalid_parameter_value for an unknown zone, a meter of another zone, times that are not whole quarter hours or out of order, and days that are not digits from 1 to 7';
