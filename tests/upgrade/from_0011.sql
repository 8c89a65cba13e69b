-- What 0009 to 0011 brought, on top of from_0008.sql: profiles, registers, days that an import stored readings of, and a DBA
-- who keeps meters longer than the default of 0012, and vehicles for good.

INSERT INTO telemetry.device_profile (stream, device_id, energy_kind, register_max_kwh, max_kw, expected_interval) VALUES
('meter', 'M9', 'register', 99999.9, 22, '60 seconds');

INSERT INTO telemetry.meter_telemetry_history (meter_id, recorded_at, kwh_consumed_ac, voltage, register_kwh)
SELECT 'M9', date_trunc('day', now(), 'UTC') - INTERVAL '2 days' + n * INTERVAL '1 minute', sign(n) * 0.1, 230, 1000 + n * 0.1
FROM generate_series(0, 59) AS n;

INSERT INTO telemetry.meter_current_status (
    meter_id, recorded_at, kwh_consumed_ac, voltage, register_baseline_kwh, register_baseline_at
)
SELECT meter_id, recorded_at, kwh_consumed_ac, voltage, register_kwh, recorded_at
FROM telemetry.meter_telemetry_history WHERE meter_id = 'M9' ORDER BY recorded_at DESC LIMIT 1;

INSERT INTO telemetry.stale_day (day) VALUES ((now() AT TIME ZONE 'UTC')::date - 2);

INSERT INTO telemetry.meter_telemetry_history (meter_id, recorded_at, kwh_consumed_ac, voltage)
VALUES ('M1', date_trunc('day', now(), 'UTC') - INTERVAL '3 years', 7, 230);

SELECT public.remove_retention_policy('telemetry.meter_telemetry_history');
SELECT public.remove_retention_policy('telemetry.vehicle_telemetry_history');
SELECT public.add_retention_policy('telemetry.meter_telemetry_history', drop_after => INTERVAL '5 years');
