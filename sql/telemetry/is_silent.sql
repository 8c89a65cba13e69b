-- Silence, stated once: for the API, the page, metrics, views and alerts. A device is retired until it reports again.
-- Inlined, also into views of bi, so their readers may execute it.

CREATE OR REPLACE FUNCTION telemetry.is_silent(p_recorded_at timestamptz, p_interval interval, p_now timestamptz)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN p_recorded_at < p_now - 5 * p_interval;

REVOKE EXECUTE ON FUNCTION telemetry.is_silent (timestamptz, interval, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.is_silent (timestamptz, interval, timestamptz) TO energy_bi;

COMMENT ON FUNCTION telemetry.is_silent (timestamptz, interval, timestamptz) IS
'True if a device with its newest reading at p_recorded_at and an expected interval of p_interval has sent none for more than 5 of them';
