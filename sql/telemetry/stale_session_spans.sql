-- The parts of the history from which sessions are to be computed. They are the stale times, and the stored sessions that a
-- change in them can reach. A reading's interval starts at most telemetry.session_reach before it, and follows from the two
-- readings before it. So a change reaches back by one reach and a gap, and forward by two reaches. What lies beyond is
-- separated by more than a gap, and stays. A vehicle without energy or stored sessions there has no span: most of a fleet
-- does not charge now. Statements are planned with their bounds as constants, so that only the chunks of that time are
-- opened; vehicles with the same times share one.

CREATE OR REPLACE FUNCTION telemetry.stale_session_spans(
    p_vehicle_ids text [] DEFAULT NULL, p_times tstzmultirange DEFAULT NULL, p_until timestamptz DEFAULT 'infinity'
) RETURNS TABLE (vehicle_id text, span_start timestamptz, span_end timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_gap CONSTANT interval := (SELECT f.session_gap FROM telemetry.fleet AS f);
    v_reach CONSTANT interval := telemetry.session_reach();
    v_frozen CONSTANT tstzmultirange := telemetry.frozen_times();
    v_kept CONSTANT tstzmultirange := (
        SELECT telemetry.chunk_times(h.id) - v_frozen
        FROM _timescaledb_catalog.hypertable AS h
        WHERE h.schema_name = 'telemetry' AND h.table_name = 'vehicle_telemetry_history'
    );
    v_fleet CONSTANT tstzmultirange := v_kept * coalesce(p_times, telemetry.stale_session_times());
    v_stale record;
    v_ids text[];
    v_starts timestamptz[];
    v_ends timestamptz[];
BEGIN
    FOR v_stale IN
        WITH own AS (
            SELECT s.vehicle_id, v_kept * range_agg(s.during) + v_fleet AS times
            FROM telemetry.stale_session AS s
            WHERE p_times IS NULL AND s.vehicle_id IS NOT NULL AND (p_vehicle_ids IS NULL OR s.vehicle_id = ANY (p_vehicle_ids))
            GROUP BY s.vehicle_id
        )
        SELECT r.span, array_agg(v.vehicle_id) AS vehicle_ids
        FROM (
            SELECT s.vehicle_id FROM telemetry.vehicle_current_status AS s WHERE p_vehicle_ids IS NULL
            UNION
            SELECT unnest(p_vehicle_ids)
        ) AS v
        CROSS JOIN telemetry.session_ranges(v_fleet) AS r (span)
        WHERE NOT EXISTS (SELECT FROM own AS o WHERE o.vehicle_id = v.vehicle_id)
        GROUP BY r.span
        UNION ALL
        SELECT r.span, array_agg(o.vehicle_id)
        FROM own AS o
        CROSS JOIN LATERAL telemetry.session_ranges(o.times) AS r (span)
        GROUP BY r.span
    LOOP
        EXECUTE format(
            $query$
            SELECT $3 || array_agg(h.vehicle_id), $4 || array_agg(h.hull_start), $5 || array_agg(h.hull_end)
            FROM (
                SELECT v.vehicle_id, least(%1$L, k.first_start) AS hull_start, greatest(%2$L, k.last_end) AS hull_end
                FROM unnest($1) AS v (vehicle_id)
                CROSS JOIN LATERAL (
                    SELECT EXISTS (
                        SELECT FROM telemetry.charging_session AS c
                        WHERE c.vehicle_id = v.vehicle_id AND c.started_at >= %1$L AND c.started_at <= %3$L
                    ) OR (
                        (%1$L::timestamptz < $2 OR EXISTS (
                            SELECT FROM (
                                SELECT c.ended_at FROM telemetry.charging_session AS c
                                WHERE c.vehicle_id = v.vehicle_id AND c.started_at < $2
                                ORDER BY c.started_at DESC
                                LIMIT 1
                            ) AS c
                            WHERE c.ended_at >= %4$L
                        )) AND EXISTS (
                            SELECT FROM telemetry.vehicle_telemetry_history AS h
                            WHERE h.vehicle_id = v.vehicle_id AND h.counted_at >= %1$L AND h.counted_at < %2$L
                                AND h.kwh_delivered_dc > 0
                        )
                    ) AS has_energy
                ) AS e
                CROSS JOIN LATERAL (
                    SELECT min(c.started_at) AS first_start, max(c.ended_at) AS last_end
                    FROM (
                        SELECT c.started_at, c.ended_at FROM telemetry.charging_session AS c
                        WHERE c.vehicle_id = v.vehicle_id AND c.started_at >= %4$L AND c.started_at <= %3$L
                        UNION ALL
                        (
                            SELECT c.started_at, c.ended_at FROM telemetry.charging_session AS c
                            WHERE c.vehicle_id = v.vehicle_id AND c.started_at < %4$L
                            ORDER BY c.started_at DESC
                            LIMIT 1
                        )
                    ) AS c
                    WHERE c.ended_at >= CASE WHEN e.has_energy THEN %4$L ELSE %1$L::timestamptz END
                ) AS k
                WHERE e.has_energy OR k.first_start IS NOT NULL
            ) AS h
            $query$,
            lower(v_stale.span), upper(v_stale.span), upper(v_stale.span) + 2 * v_reach,
            lower(v_stale.span) - v_reach - v_gap
        ) INTO v_ids, v_starts, v_ends USING v_stale.vehicle_ids, p_until, v_ids, v_starts, v_ends;
    END LOOP;

    RETURN QUERY
    SELECT s.vehicle_id, lower(s.span), upper(s.span)
    FROM (
        SELECT
            h.vehicle_id,
            unnest(range_agg(tstzrange(h.hull_start, h.hull_end)) - v_frozen - CASE WHEN isempty(v_frozen) THEN '{}' ELSE coalesce((
                SELECT range_agg(tstzrange(c.started_at, c.ended_at))
                FROM telemetry.charging_session AS c
                WHERE c.vehicle_id = h.vehicle_id AND tstzrange(c.started_at, c.ended_at) && v_frozen
            ), '{}') END) AS span
        FROM unnest(v_ids, v_starts, v_ends) AS h (vehicle_id, hull_start, hull_end)
        GROUP BY h.vehicle_id
    ) AS s;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.stale_session_spans (text [], tstzmultirange, timestamptz) FROM PUBLIC, energy_bi;

COMMENT ON FUNCTION telemetry.stale_session_spans (text [], tstzmultirange, timestamptz) IS
'The times [span_start, span_end) of the vehicles (NULL for all) for which their charging sessions are to be computed from the history, as stored ones may differ from it: because of p_times (NULL for all stale times), and with sessions that begin before p_until';
