-- Alerts for BI, with their length and their acknowledgement.

CREATE OR REPLACE VIEW bi.alert AS
SELECT
    a.id AS alert_id,
    a.rule_name,
    a.rule_kind,
    a.kind,
    a.device_id,
    a.severity,
    a.opened_at,
    a.last_seen_at,
    a.closed_at,
    a.close_reason,
    coalesce(a.closed_at, now()) - a.opened_at AS open_for,
    a.value,
    a.threshold,
    a.reason,
    a.energy_lost_kwh,
    a.acknowledged_at,
    a.acknowledged_by,
    a.note
FROM telemetry.alert AS a;

GRANT SELECT ON bi.alert TO energy_bi;

COMMENT ON VIEW bi.alert IS 'Alerts, open and closed. For counts of faults, leave out close_reason ''disproved by later data''';
COMMENT ON COLUMN bi.alert.alert_id IS 'Number of the alert';
COMMENT ON COLUMN bi.alert.rule_name IS 'Name of its rule';
COMMENT ON COLUMN bi.alert.rule_kind IS 'The fault: efficiency_low, efficiency_impossible, charger_fading, device_silent, battery_hot, voltage_outside, data_incomplete, readings_rejected, standby_high';
COMMENT ON COLUMN bi.alert.kind IS 'meter or vehicle';
COMMENT ON COLUMN bi.alert.device_id IS 'The device''s id';
COMMENT ON COLUMN bi.alert.severity IS 'info, warning or critical';
COMMENT ON COLUMN bi.alert.opened_at IS 'End of the window that opened it';
COMMENT ON COLUMN bi.alert.last_seen_at IS 'End of the newest window that found the fault';
COMMENT ON COLUMN bi.alert.closed_at IS 'End of the window that closed it; NULL while it is open';
COMMENT ON COLUMN bi.alert.close_reason IS 'Reason of its closing; NULL while it is open. With disproved by later data, the fault never was';
COMMENT ON COLUMN bi.alert.open_for IS 'Time from its opening to its closing, or to now';
COMMENT ON COLUMN bi.alert.value IS 'The value in the window of last_seen_at, in the unit of the threshold';
COMMENT ON COLUMN bi.alert.threshold IS 'The limit that it is beyond: a ratio, points of ratio, expected intervals, degrees Celsius, V, readings or kW, by rule_kind';
COMMENT ON COLUMN bi.alert.reason IS 'The fault in words, with numbers and units';
COMMENT ON COLUMN bi.alert.energy_lost_kwh IS 'Efficiency_low: DC energy missing for the ratio of the threshold, kWh, from the start of the window that opened it until last_seen_at; NULL for other kinds';
COMMENT ON COLUMN bi.alert.acknowledged_at IS 'Time of its acknowledgement; NULL without';
COMMENT ON COLUMN bi.alert.acknowledged_by IS 'The id of the API key that acknowledged it, or the name given; NULL without';
COMMENT ON COLUMN bi.alert.note IS 'The words given with the acknowledgement; NULL without';
