-- Valid in a database at 0005: the histories, the current status, links, refused readings.

INSERT INTO telemetry.meter_telemetry_history (meter_id, recorded_at, kwh_consumed_ac, voltage)
SELECT 'M' || m, date_trunc('day', now(), 'UTC') - INTERVAL '6 days' + n * INTERVAL '1 hour', 0.5 + n, 230 + m
FROM generate_series(1, 3) AS m, generate_series(0, 99) AS n;

INSERT INTO telemetry.vehicle_telemetry_history (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp)
SELECT 'V' || v, date_trunc('day', now(), 'UTC') - INTERVAL '6 days' + n * INTERVAL '1 hour', 50, 0.4 + n, 20 + v
FROM generate_series(1, 3) AS v, generate_series(0, 99) AS n;

INSERT INTO telemetry.meter_current_status (meter_id, recorded_at, kwh_consumed_ac, voltage)
SELECT DISTINCT ON (meter_id) meter_id, recorded_at, kwh_consumed_ac, voltage
FROM telemetry.meter_telemetry_history ORDER BY meter_id, recorded_at DESC;

INSERT INTO telemetry.vehicle_current_status (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp)
SELECT DISTINCT ON (vehicle_id) vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp
FROM telemetry.vehicle_telemetry_history ORDER BY vehicle_id, recorded_at DESC;

INSERT INTO telemetry.vehicle_meter_link VALUES
('V3', 'M2', tstzrange(date_trunc('day', now(), 'UTC') - INTERVAL '5 days', NULL));

INSERT INTO telemetry.rejected_reading (stream, code, detail, payload, source) VALUES
('meter', 'value_out_of_range', 'voltage 20000 is outside 0 to 1500 V', '{"meterId": "M1"}', '10.0.0.1');

-- some of it is in the columnstore, as the policy has it after three days
SELECT public.compress_chunk(c)
FROM public.show_chunks('telemetry.meter_telemetry_history', older_than => INTERVAL '3 days') AS c;
SELECT public.compress_chunk(c)
FROM public.show_chunks('telemetry.vehicle_telemetry_history', older_than => INTERVAL '4 days') AS c;
