-- telemetry.session_cost of many sessions at once, and exact at this moment: for the API.

CREATE OR REPLACE FUNCTION telemetry.session_costs(
    p_vehicle_ids text [], p_starts timestamptz [], p_ends timestamptz []
) RETURNS TABLE (session bigint, currency text, cost numeric, co2_kg numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    WITH segment AS MATERIALIZED (
        SELECT
            s.session,
            m.meter_id,
            greatest(s.started_at, m.valid_from) AS starts,
            least(s.ended_at, m.valid_until) AS ends,
            row_number() OVER () AS segment
        FROM unnest(p_vehicle_ids, p_starts, p_ends) WITH ORDINALITY AS s (vehicle_id, started_at, ended_at, session)
        JOIN bi.vehicle_meter AS m
            ON
                s.vehicle_id = m.vehicle_id
                AND (m.valid_from IS NULL OR m.valid_from < s.ended_at)
                AND (m.valid_until IS NULL OR m.valid_until > s.started_at)
        WHERE m.vehicle_id = ANY (p_vehicle_ids)
    )
    SELECT
        g.session,
        CASE WHEN count(DISTINCT c.currency) = 1 THEN min(c.currency) END,
        CASE WHEN count(DISTINCT c.currency) = 1 THEN sum(c.cost) END,
        sum(c.co2_kg)
    FROM telemetry.price_segments(
        ARRAY(SELECT g.meter_id FROM segment AS g ORDER BY g.segment),
        ARRAY(SELECT g.starts FROM segment AS g ORDER BY g.segment),
        ARRAY(SELECT g.ends FROM segment AS g ORDER BY g.segment),
        telemetry.unheld_times('meter_15min', TRUE)
    ) AS c
    JOIN segment AS g ON c.segment = g.segment
    GROUP BY g.session;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.session_costs (text [], timestamptz [], timestamptz []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.session_costs (text [], timestamptz [], timestamptz []) IS
'Currency, cost (not rounded) and CO2 (kg) of the AC energy that each vehicle''s meters drew after its start, up to and including its end, numbered from 1 in the order given; columns as of telemetry.session_cost';
