-- Prices and grid intensity of AC energy: rows with a validity. Cost and CO2 are joined to the energy when they are read.

SET LOCAL ROLE energy_owner;

CREATE TABLE ops.price_zone (
    zone text COLLATE "C" PRIMARY KEY,
    time_zone text,
    CONSTRAINT zone_has_1_to_64_characters CHECK (zone ~ '^[!-~]{1,64}$')
);

COMMENT ON TABLE ops.price_zone IS 'Areas with prices of their own; a meter belongs to zone default unless ops.meter_zone has another';
COMMENT ON COLUMN ops.price_zone.zone IS 'Name of the zone, as default or DE-LU';
COMMENT ON COLUMN ops.price_zone.time_zone IS 'IANA name of the time zone of its weekly tariffs; NULL for the fleet''s time zone';

INSERT INTO ops.price_zone (zone) VALUES ('default');

CREATE TABLE ops.meter_zone (
    meter_id text COLLATE "C" PRIMARY KEY,
    zone text COLLATE "C" NOT NULL REFERENCES ops.price_zone
);

COMMENT ON TABLE ops.meter_zone IS 'Meters of a price zone other than default';
COMMENT ON COLUMN ops.meter_zone.meter_id IS 'The meter''s id';
COMMENT ON COLUMN ops.meter_zone.zone IS 'Its zone';

-- the constraints below need the function to be there; the code of this version replaces the body
CREATE FUNCTION ops.week_minutes(p_days text, p_local_from time, p_local_until time) RETURNS int4multirange
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT '{}'::int4multirange;
$$;

REVOKE EXECUTE ON FUNCTION ops.week_minutes (text, time, time) FROM PUBLIC;

CREATE TABLE ops.price (
    price_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    zone text COLLATE "C" NOT NULL REFERENCES ops.price_zone,
    meter_id text COLLATE "C",
    during tstzrange NOT NULL,
    days text NOT NULL,
    local_from time NOT NULL,
    local_until time NOT NULL,
    price_per_kwh numeric NOT NULL,
    currency text COLLATE "C" NOT NULL,
    week int4multirange NOT NULL GENERATED ALWAYS AS (ops.week_minutes(days, local_from, local_until)) STORED,
    CONSTRAINT price_per_kwh_is_at_most_a_million CHECK (price_per_kwh BETWEEN -1000000 AND 1000000),
    CONSTRAINT currency_is_a_code_of_iso_4217 CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT one_price_at_a_time EXCLUDE USING gist (
        zone WITH =, coalesce(meter_id, '') WITH =, during WITH &&, week WITH &&
    )
);

COMMENT ON TABLE ops.price IS 'Prices of AC energy; a meter''s own price goes before that of its zone. ops.set_price and ops.remove_price change it';
COMMENT ON COLUMN ops.price.price_id IS 'Number of the row, for ops.remove_price';
COMMENT ON COLUMN ops.price.zone IS 'The price zone';
COMMENT ON COLUMN ops.price.meter_id IS 'The one meter of the zone that it is for; NULL for all meters of the zone';
COMMENT ON COLUMN ops.price.during IS 'When it holds: from (included) to (excluded), in whole quarter hours; without an end it still holds';
COMMENT ON COLUMN ops.price.days IS 'Days of the week on which it holds, as digits from 1 (Monday) to 7 (Sunday)';
COMMENT ON COLUMN ops.price.local_from IS 'Local time of day from which it holds, in the time zone of the price zone';
COMMENT ON COLUMN ops.price.local_until IS 'Local time of day until which it holds, excluded; at or before local_from, it is on the day after';
COMMENT ON COLUMN ops.price.price_per_kwh IS 'Price in currency/kWh; it may be negative';
COMMENT ON COLUMN ops.price.currency IS 'Currency (ISO 4217 code)';
COMMENT ON COLUMN ops.price.week IS 'The same days and times as minutes of the local week, from 0 (Monday 00:00) to 10080';

CREATE TABLE ops.grid_intensity (
    grid_intensity_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    zone text COLLATE "C" NOT NULL REFERENCES ops.price_zone,
    meter_id text COLLATE "C",
    during tstzrange NOT NULL,
    days text NOT NULL,
    local_from time NOT NULL,
    local_until time NOT NULL,
    co2_g_per_kwh numeric NOT NULL,
    week int4multirange NOT NULL GENERATED ALWAYS AS (ops.week_minutes(days, local_from, local_until)) STORED,
    CONSTRAINT co2_g_per_kwh_is_from_0_to_10000 CHECK (co2_g_per_kwh BETWEEN 0 AND 10000),
    CONSTRAINT one_grid_intensity_at_a_time EXCLUDE USING gist (
        zone WITH =, coalesce(meter_id, '') WITH =, during WITH &&, week WITH &&
    )
);

COMMENT ON TABLE ops.grid_intensity IS 'Grid intensity of AC energy; a meter''s own goes before that of its zone. ops.set_grid_intensity and ops.remove_grid_intensity change it';
COMMENT ON COLUMN ops.grid_intensity.grid_intensity_id IS 'Number of the row, for ops.remove_grid_intensity';
COMMENT ON COLUMN ops.grid_intensity.zone IS 'The price zone';
COMMENT ON COLUMN ops.grid_intensity.meter_id IS 'The one meter of the zone that it is for; NULL for all meters of the zone';
COMMENT ON COLUMN ops.grid_intensity.during IS 'When it holds: from (included) to (excluded), in whole quarter hours; without an end it still holds';
COMMENT ON COLUMN ops.grid_intensity.days IS 'Days of the week on which it holds, as digits from 1 (Monday) to 7 (Sunday)';
COMMENT ON COLUMN ops.grid_intensity.local_from IS 'Local time of day from which it holds, in the time zone of the price zone';
COMMENT ON COLUMN ops.grid_intensity.local_until IS 'Local time of day until which it holds, excluded; at or before local_from, it is on the day after';
COMMENT ON COLUMN ops.grid_intensity.co2_g_per_kwh IS 'CO2 emitted for the energy, g/kWh';
COMMENT ON COLUMN ops.grid_intensity.week IS 'The same days and times as minutes of the local week, from 0 (Monday 00:00) to 10080';

GRANT SELECT ON ops.price_zone, ops.meter_zone, ops.price, ops.grid_intensity TO energy_dba;
