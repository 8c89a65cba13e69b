-- What 0006 to 0008 brought, on top of from_0005.sql: senders that were refused, readings sent again, unfinished imports.

INSERT INTO telemetry.refused_source (source, day, refused_on_day, refused, not_kept, last_refused_at) VALUES
('10.0.0.1', (now() AT TIME ZONE 'UTC')::date, 7, 9, 2, now());

INSERT INTO telemetry.rejected_reading (stream, code, detail, payload, replayed_at, replay_outcome) VALUES
('vehicle', 'timestamp_in_future', 'timestamp is ahead', '{"vehicleId": "V1"}', now(), 'stored');

INSERT INTO telemetry.import_progress (import_id, stream, file_name, rows_done, stored) VALUES
('abc', 'meter', 'half.csv', 1000, 998);
