-- The limits of a meter reading, stated once: for the ingest function, and for the judgement of readings that it did
-- not store.

CREATE OR REPLACE FUNCTION telemetry.reject_meter_reading(
    p_meter_id text,
    p_recorded_at timestamptz,
    p_kwh_consumed_ac double precision,
    p_voltage double precision,
    p_now timestamptz,
    p_retention interval
) RETURNS telemetry.rejection
LANGUAGE sql STABLE PARALLEL SAFE
RETURN COALESCE(
    telemetry.check_device_id('meterId', p_meter_id),
    telemetry.check_recorded_at(p_recorded_at, p_now, p_retention),
    telemetry.check_value('kwhConsumedAc', p_kwh_consumed_ac, 0, 1e7, 'kWh'),
    telemetry.check_finite('voltage', p_voltage)
);

REVOKE EXECUTE ON FUNCTION telemetry.reject_meter_reading (
    text, timestamptz, double precision, double precision, timestamptz, interval
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.reject_meter_reading (
    text, timestamptz, double precision, double precision, timestamptz, interval
) IS 'The first reason to reject a meter reading, or NULL: id, time, energy 0 to 1e7 kWh, measures that are not finite';
