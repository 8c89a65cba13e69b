-- register_step over the new readings of a device in the order of their time, as a window function.

CREATE OR REPLACE AGGREGATE telemetry.register_chain(
    p_register_kwh double precision,
    p_recorded_at timestamptz,
    p_base telemetry.register_state,
    p_register_max_kwh double precision,
    p_max_kw double precision,
    p_expected_interval interval,
    p_is_new boolean,
    p_exchanges telemetry.register_exchange []
) (
    SFUNC = telemetry.register_step,
    STYPE = telemetry.register_state
);

REVOKE EXECUTE ON FUNCTION telemetry.register_chain (
    double precision, timestamptz, telemetry.register_state, double precision, double precision, interval, boolean,
    telemetry.register_exchange []
) FROM PUBLIC;

COMMENT ON AGGREGATE telemetry.register_chain (
    double precision, timestamptz, telemetry.register_state, double precision, double precision, interval, boolean,
    telemetry.register_exchange []
) IS
'The states of a device''s register (kWh), reading after reading, from p_base on: for use with OVER (PARTITION BY device ORDER BY recorded_at)';
