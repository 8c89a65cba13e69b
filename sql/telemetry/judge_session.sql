-- The figures of a charging session that follow from its row and the intervals of its devices, stated once for the API and
-- for BI. Inlined into the views of bi, so their readers may execute it.

CREATE OR REPLACE FUNCTION telemetry.judge_session(
    p_session telemetry.charging_session,
    p_meter_interval interval,
    p_vehicle_interval interval,
    p_standby_kw double precision,
    p_session_gap interval
) RETURNS TABLE (
    duration_s double precision,
    kwh_consumed_ac double precision,
    kwh_lost double precision,
    efficiency_ratio double precision,
    efficiency_status text,
    mean_kw double precision,
    is_complete boolean,
    is_open boolean
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        t.duration_s,
        a.kwh,
        j.kwh - (p_session).kwh_delivered_dc,
        telemetry.efficiency_ratio(
            j.kwh, (p_session).kwh_delivered_dc, t.duration, greatest(p_meter_interval, p_vehicle_interval), p_standby_kw
        ),
        telemetry.efficiency_status(
            j.kwh, (p_session).kwh_delivered_dc, t.duration, greatest(p_meter_interval, p_vehicle_interval), p_standby_kw
        ),
        (p_session).kwh_delivered_dc * (3600 / t.duration_s),
        telemetry.has_expected_readings((p_session).readings, t.duration, p_vehicle_interval)
        AND telemetry.has_expected_readings((p_session).meter_readings, t.duration, p_meter_interval),
        (p_session).ended_at > now() - p_session_gap
    FROM (
        SELECT
            (p_session).ended_at - (p_session).started_at AS duration,
            extract(EPOCH FROM (p_session).ended_at - (p_session).started_at)::double precision AS duration_s
    ) AS t
    CROSS JOIN (
        SELECT CASE WHEN (p_session).meter_readings > 0 THEN (
            SELECT sum(d.kwh) FROM unnest((p_session).kwh_consumed_ac_by_day) AS d (kwh)
        ) END AS kwh
    ) AS a
    CROSS JOIN LATERAL (
        SELECT CASE WHEN telemetry.is_aligned(
            (p_session).started_at, (p_session).ended_at, (p_session).meter_first_at, (p_session).meter_last_at,
            p_meter_interval, p_vehicle_interval
        ) THEN a.kwh END AS kwh
    ) AS j;
END;

REVOKE EXECUTE ON FUNCTION telemetry.judge_session (
    telemetry.charging_session, interval, interval, double precision, interval
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.judge_session (
    telemetry.charging_session, interval, interval, double precision, interval
) TO energy_bi;

COMMENT ON FUNCTION telemetry.judge_session (
    telemetry.charging_session, interval, interval, double precision, interval
) IS
'The columns of bi.charging_session (seconds, kWh, kW) that follow from a session, the expected intervals of its meter and its vehicle, and the standby_kw and session_gap of the fleet';
