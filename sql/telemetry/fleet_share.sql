-- For views of BI, which cannot hand the vehicles of a query to a function. They compute stale sessions share by share. So the
-- planner asks for one share for one vehicle, and for few shares for the fleet.

CREATE OR REPLACE VIEW telemetry.fleet_share AS
SELECT
    v.vehicle_id,
    s.share,
    s.shares
FROM telemetry.vehicle_current_status AS v
JOIN telemetry.list_shares() AS s ON s.share = abs(hashtext(v.vehicle_id) % s.shares);

COMMENT ON VIEW telemetry.fleet_share IS 'The share of the fleet that each vehicle belongs to (telemetry.list_shares)';
COMMENT ON COLUMN telemetry.fleet_share.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN telemetry.fleet_share.share IS 'Number of its share, from 0';
COMMENT ON COLUMN telemetry.fleet_share.shares IS 'Number of shares';
