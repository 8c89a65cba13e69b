-- Silence, stated once: for the API, the page, metrics, views and alerts. A device is retired until it reports again.
-- Inlined, also into views of bi, so their readers may execute it.

CREATE OR REPLACE FUNCTION telemetry.is_silent(
    p_recorded_at timestamptz, p_interval interval, p_now timestamptz, p_intervals double precision DEFAULT 5
) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN p_recorded_at < p_now - p_intervals * p_interval;

REVOKE EXECUTE ON FUNCTION telemetry.is_silent (timestamptz, interval, timestamptz, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.is_silent (timestamptz, interval, timestamptz, double precision) TO energy_bi;

COMMENT ON FUNCTION telemetry.is_silent (timestamptz, interval, timestamptz, double precision) IS
'True if a device with its newest reading at p_recorded_at and an expected interval of p_interval has sent none for more than p_intervals of them';
