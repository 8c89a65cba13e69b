-- bi.vehicle_meter at this moment, for one device or for all of them. That view asks the rule of default meters for each
-- vehicle, also where one meter is wanted: 0.3 s for 10,000. Here the standard rule (telemetry.standard_meter_id) is two
-- joins, which can begin at either side. A fleet's own rule is asked.

CREATE OR REPLACE VIEW telemetry.current_link AS
SELECT l.vehicle_id, l.meter_id
FROM telemetry.vehicle_meter_link AS l
WHERE l.during @> now()
UNION ALL
SELECT d.vehicle_id, d.meter_id
FROM (
    SELECT v.vehicle_id, m.meter_id
    FROM telemetry.vehicle_current_status AS v
    JOIN telemetry.meter_current_status AS m ON m.meter_id = v.vehicle_id
    WHERE NOT telemetry.has_own_meter_rule()
    UNION ALL
    SELECT v.vehicle_id, m.meter_id
    FROM telemetry.vehicle_current_status AS v
    JOIN telemetry.meter_current_status AS m
        ON m.meter_id = 'M' || substr(v.vehicle_id, 2) AND v.vehicle_id = 'V' || substr(m.meter_id, 2)
    WHERE
        NOT telemetry.has_own_meter_rule()
        AND NOT EXISTS (SELECT FROM telemetry.meter_current_status AS s WHERE s.meter_id = v.vehicle_id)
    UNION ALL
    SELECT v.vehicle_id, telemetry.find_default_meter(v.vehicle_id)
    FROM telemetry.vehicle_current_status AS v
    WHERE telemetry.has_own_meter_rule()
    UNION ALL
    -- those that were linked once, and have sent nothing; OFFSET keeps the rule from being asked for all of them
    SELECT v.vehicle_id, telemetry.find_default_meter(v.vehicle_id)
    FROM (
        SELECT DISTINCT l.vehicle_id
        FROM telemetry.vehicle_meter_link AS l
        WHERE NOT EXISTS (SELECT FROM telemetry.vehicle_current_status AS s WHERE s.vehicle_id = l.vehicle_id)
        OFFSET 0
    ) AS v
) AS d
WHERE
    d.meter_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.vehicle_id = d.vehicle_id AND l.during @> now())
    AND NOT EXISTS (SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.meter_id = d.meter_id AND l.during @> now());

COMMENT ON VIEW telemetry.current_link IS 'The meter that feeds each vehicle at this moment, by a link or by the rule of default meters: as bi.vehicle_meter';
COMMENT ON COLUMN telemetry.current_link.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN telemetry.current_link.meter_id IS 'The id of the meter that feeds it';
