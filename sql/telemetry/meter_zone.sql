-- The price zone of every meter that has reported, with the clock of its weekly tariffs.

CREATE OR REPLACE VIEW telemetry.meter_zone AS
SELECT
    s.meter_id,
    z.zone,
    coalesce(z.time_zone, f.time_zone) AS time_zone,
    z.zone || CASE WHEN EXISTS (
        SELECT FROM ops.price AS p WHERE p.meter_id = s.meter_id
    ) OR EXISTS (
        SELECT FROM ops.grid_intensity AS g WHERE g.meter_id = s.meter_id
    ) THEN ' ' || s.meter_id ELSE '' END AS tariff
FROM telemetry.meter_current_status AS s
LEFT JOIN ops.meter_zone AS m ON s.meter_id = m.meter_id
JOIN ops.price_zone AS z ON coalesce(m.zone, 'default') = z.zone
CROSS JOIN telemetry.fleet AS f;

COMMENT ON VIEW telemetry.meter_zone IS 'The price zone of every meter';
COMMENT ON COLUMN telemetry.meter_zone.meter_id IS 'The meter''s id';
COMMENT ON COLUMN telemetry.meter_zone.zone IS 'Its price zone: default unless the DBA has set another';
COMMENT ON COLUMN telemetry.meter_zone.time_zone IS 'IANA name of the time zone of the zone''s weekly tariffs';
COMMENT ON COLUMN telemetry.meter_zone.tariff IS 'Meters with the same text have the same prices and grid intensities: those of a zone, but for the meters with some of their own';
