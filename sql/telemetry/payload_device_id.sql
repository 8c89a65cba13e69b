-- A rejected reading has no device of its own, as it may be no reading at all: its payload names one, perhaps. Inlined, also
-- into views of bi, so their readers may execute it.

CREATE OR REPLACE FUNCTION telemetry.payload_device_id(p_payload text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN substring(p_payload FROM '"(?:meterId|vehicleId)"\s*:\s*"([A-Za-z0-9][A-Za-z0-9._:-]{0,63})"');

REVOKE EXECUTE ON FUNCTION telemetry.payload_device_id (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.payload_device_id (text) TO energy_bi;

COMMENT ON FUNCTION telemetry.payload_device_id (text) IS
'The first valid device id in the text of a payload; NULL without one';
