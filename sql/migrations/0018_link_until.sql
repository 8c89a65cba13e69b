-- api.link_vehicle takes the end of a link as well. The code of this version makes it again, with the new parameter.
-- squawk-ignore-file ban-drop-function

SET LOCAL ROLE energy_owner;

DROP FUNCTION IF EXISTS api.link_vehicle(text, text, timestamptz);
