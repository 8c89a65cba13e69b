-- The policies of a new installation, restored by ops.reset_policy.

CREATE OR REPLACE FUNCTION ops.default_policies() RETURNS SETOF ops.policy
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT
        d.object, d.chunk_interval::interval, d.compress_after::interval, d.drop_after::interval, d.accept_for::interval,
        FALSE, d.refresh_after::interval, d.refresh_every::interval
    FROM (
        VALUES
        ('telemetry.meter_telemetry_history', '1 day', '3 days', '2 years', '2 years', NULL, NULL),
        ('telemetry.vehicle_telemetry_history', '1 day', '3 days', '2 years', '2 years', NULL, NULL),
        ('telemetry.rejected_reading', '1 day', NULL, '30 days', NULL, NULL, NULL),
        ('telemetry.alert', NULL, NULL, '2 years', NULL, NULL, NULL),
        ('bi.meter_15min', '7 days', '3 days', '5 years', NULL, '5 minutes', '3 minutes'),
        ('bi.vehicle_15min', '7 days', '3 days', '5 years', NULL, '5 minutes', '3 minutes'),
        ('bi.meter_hourly', '28 days', '3 days', '10 years', NULL, '5 minutes', NULL),
        ('bi.vehicle_hourly', '28 days', '3 days', '10 years', NULL, '5 minutes', NULL),
        ('bi.meter_daily', '364 days', '4 days', NULL, NULL, '5 minutes', NULL),
        ('bi.vehicle_daily', '364 days', '4 days', NULL, NULL, '5 minutes', NULL)
    ) AS d (object, chunk_interval, compress_after, drop_after, accept_for, refresh_after, refresh_every);
$$;

REVOKE EXECUTE ON FUNCTION ops.default_policies () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.default_policies () TO energy_dba;

COMMENT ON FUNCTION ops.default_policies () IS 'The rows of ops.policy on a new installation';
