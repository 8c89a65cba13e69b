-- Rejected readings by day. The device is what the payload names, if it can be read: it may be no device of the fleet.

CREATE OR REPLACE VIEW bi.rejected_reading_daily AS
SELECT
    r.date::timestamp AT TIME ZONE r.time_zone AS bucket,
    r.date,
    r.kind,
    r.code,
    r.is_stored,
    r.device_id,
    r.source,
    count(*) AS readings,
    max(r.received_at) AS last_received_at
FROM (
    SELECT
        j.kind,
        j.code,
        j.is_stored,
        j.source,
        j.received_at,
        f.time_zone,
        (j.received_at AT TIME ZONE f.time_zone)::date AS date,
        telemetry.payload_device_id(j.payload) AS device_id
    FROM telemetry.rejected_reading AS j
    CROSS JOIN telemetry.fleet AS f
) AS r
GROUP BY r.date, r.time_zone, r.kind, r.code, r.is_stored, r.device_id, r.source;

GRANT SELECT ON bi.rejected_reading_daily TO energy_bi;

COMMENT ON VIEW bi.rejected_reading_daily IS 'Readings that were rejected, or stored without an ignored measure, by day, device and sender: those that are kept, which are at most 10,000 of either of a sender and day, for 30 days';
COMMENT ON COLUMN bi.rejected_reading_daily.bucket IS 'Start of the day: midnight of the fleet''s time zone';
COMMENT ON COLUMN bi.rejected_reading_daily.date IS 'The day in the fleet''s time zone';
COMMENT ON COLUMN bi.rejected_reading_daily.kind IS 'meter, vehicle, or unknown';
COMMENT ON COLUMN bi.rejected_reading_daily.code IS 'The reason, as in docs/http-api.md';
COMMENT ON COLUMN bi.rejected_reading_daily.is_stored IS 'True if the reading was stored without a measure that was ignored; its energy counts';
COMMENT ON COLUMN bi.rejected_reading_daily.device_id IS 'The id in the reading; NULL if there is none to be read';
COMMENT ON COLUMN bi.rejected_reading_daily.source IS 'The network address of the sender; NULL if it is not known';
COMMENT ON COLUMN bi.rejected_reading_daily.readings IS 'Number of readings';
COMMENT ON COLUMN bi.rejected_reading_daily.last_received_at IS 'The server''s time when the last of them arrived';
