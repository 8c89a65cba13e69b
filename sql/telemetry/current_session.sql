-- Charging sessions as they are now. A change of the history may have reached some stored ones: these are computed anew, and
-- take their place. A condition on vehicle_id or started_at reaches the index of the stored ones; one on vehicle_id also
-- reaches telemetry.fleet_share.

CREATE OR REPLACE VIEW telemetry.current_session AS
SELECT
    c.vehicle_id, c.started_at, c.ended_at, c.session_id, c.meter_id, c.kwh_delivered_dc, c.kwh_consumed_ac_by_day, c.peak_kw,
    c.readings, c.meter_readings, c.soc_start, c.soc_end, c.battery_temp_avg, c.battery_temp_max, c.meter_first_at,
    c.meter_last_at
FROM telemetry.charging_session AS c
WHERE NOT EXISTS (
    SELECT
    FROM telemetry.fleet_share AS f
    CROSS JOIN LATERAL telemetry.share_spans(f.share, f.shares) AS s
    WHERE
        f.vehicle_id = c.vehicle_id AND s.vehicle_id = f.vehicle_id
        AND s.span_start < c.ended_at AND s.span_end > c.started_at
)
UNION ALL
SELECT
    f.vehicle_id, l.started_at, l.ended_at, l.session_id, l.meter_id, l.kwh_delivered_dc, l.kwh_consumed_ac_by_day, l.peak_kw,
    l.readings, l.meter_readings, l.soc_start, l.soc_end, l.battery_temp_avg, l.battery_temp_max, l.meter_first_at,
    l.meter_last_at
FROM telemetry.fleet_share AS f
CROSS JOIN LATERAL telemetry.share_sessions(f.share, f.shares) AS l
WHERE l.vehicle_id = f.vehicle_id;

COMMENT ON VIEW telemetry.current_session IS 'Charging sessions, exact at any time; the columns are those of telemetry.charging_session';
COMMENT ON COLUMN telemetry.current_session.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN telemetry.current_session.started_at IS 'Start of the first interval with delivered energy';
COMMENT ON COLUMN telemetry.current_session.ended_at IS 'End of the last interval with delivered energy';
COMMENT ON COLUMN telemetry.current_session.session_id IS 'The session''s id';
COMMENT ON COLUMN telemetry.current_session.meter_id IS 'The meter of the first AC reading in the session; NULL without any';
COMMENT ON COLUMN telemetry.current_session.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
COMMENT ON COLUMN telemetry.current_session.kwh_consumed_ac_by_day IS 'AC energy drawn in the session, kWh, in each day of the fleet''s time zone, from that of started_at on; 0 without a reading';
COMMENT ON COLUMN telemetry.current_session.peak_kw IS 'Highest mean power of an interval, kW';
COMMENT ON COLUMN telemetry.current_session.readings IS 'Readings of the vehicle in the session';
COMMENT ON COLUMN telemetry.current_session.meter_readings IS 'Readings of its meters in the session';
COMMENT ON COLUMN telemetry.current_session.soc_start IS 'State of charge at the start, else at the first reading that measured it, percent';
COMMENT ON COLUMN telemetry.current_session.soc_end IS 'State of charge at the last reading that measured it, percent';
COMMENT ON COLUMN telemetry.current_session.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings that measured it';
COMMENT ON COLUMN telemetry.current_session.battery_temp_max IS 'Highest battery temperature, degrees Celsius';
COMMENT ON COLUMN telemetry.current_session.meter_first_at IS 'The meter''s own time of its first reading in the session; NULL without any';
COMMENT ON COLUMN telemetry.current_session.meter_last_at IS 'The meter''s own time of its last reading in the session; NULL without any';
