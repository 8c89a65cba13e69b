-- A fault of last week concerns nobody, and a judgement of all that an import brings would take hours.

CREATE OR REPLACE FUNCTION telemetry.alert_horizon() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN INTERVAL '7 days';

REVOKE EXECUTE ON FUNCTION telemetry.alert_horizon () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.alert_horizon () IS 'Age of a reading beyond which it changes no alerts any more';
