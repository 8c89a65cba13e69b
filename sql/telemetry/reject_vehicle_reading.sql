-- The limits of a vehicle reading, stated once: for the ingest function, and for the judgement of readings that it did
-- not store.

CREATE OR REPLACE FUNCTION telemetry.reject_vehicle_reading(
    p_vehicle_id text,
    p_recorded_at timestamptz,
    p_soc double precision,
    p_kwh_delivered_dc double precision,
    p_battery_temp double precision,
    p_now timestamptz,
    p_retention interval
) RETURNS telemetry.rejection
LANGUAGE sql STABLE PARALLEL SAFE
RETURN COALESCE(
    telemetry.check_device_id('vehicleId', p_vehicle_id),
    telemetry.check_recorded_at(p_recorded_at, p_now, p_retention),
    telemetry.check_finite('soc', p_soc),
    telemetry.check_value('kwhDeliveredDc', p_kwh_delivered_dc, 0, 1e7, 'kWh'),
    telemetry.check_finite('batteryTemp', p_battery_temp)
);

REVOKE EXECUTE ON FUNCTION telemetry.reject_vehicle_reading (
    text, timestamptz, double precision, double precision, double precision, timestamptz, interval
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.reject_vehicle_reading (
    text, timestamptz, double precision, double precision, double precision, timestamptz, interval
) IS 'The first reason to reject a vehicle reading, or NULL: id, time, energy 0 to 1e7 kWh, measures that are not finite';
