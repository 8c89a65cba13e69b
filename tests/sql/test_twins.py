"""Twins: SQL files differ where their subjects differ, and nowhere else.

Meters and vehicles are twins, and prices and grid intensities.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest

SQL = Path(__file__).parents[2] / "sql"

WORDS = {
    "vehicle": "meter",
    "Vehicle": "Meter",
    "kwh_delivered_dc": "kwh_consumed_ac",
    "kwhDeliveredDc": "kwhConsumedAc",
    "battery_temp": "voltage",
    "batteryTemp": "voltage",
    "battery temperature (degrees Celsius), state of charge (%)": "voltage (V)",
    "IE001": "IE002",
}
"""A word of vehicles -> the word of meters in the same place."""
WORD = re.compile("(?<!api[.]get_)(?:" + "|".join(map(re.escape, WORDS)) + ")")
"""api.get_vehicle_performance is named in both."""

ONLY_OF_VEHICLES = re.compile(
    r"^ *(?:p_)?soc double precision,\n|^ *soc = excluded\.soc,\n|^ *'soc', r\.soc,\n"
    r"|^ *coalesce\(h\.soc::text, 'not measured'\),\n"
    r"|^ *(?:OR |soc = |)(?:CASE WHEN )?telemetry\.ignore_soc\(.*(?:IS NOT NULL|END,)\n"
    r"|telemetry\.ignore_soc\([\w.]+\)(?: IS NOT NULL OR|,) "
    r"|(?:min|max)\(soc\), |\b(?:\w+\.)?soc, |\bsoc %s, ",
    re.MULTILINE,
)
"""The state of charge, which meters lack."""

DIFFERENCES: dict[str, str] = {
    "api/import_{}_readings": "",
    "api/ingest_{}_readings": "",
    "api/list_{}_buckets": """
+ soc_first double precision,
+ soc_last double precision,
- SELECT b.bucket, b.kwh, b.readings, b.measure_min, b.measure_avg, b.measure_max, b.is_open
+ SELECT b.bucket, b.kwh, b.readings, b.measure_min, b.measure_avg, b.measure_max, b.soc_first, b.soc_last, b.is_open
""",
    "api/list_{}_readings": "",
    "telemetry/ignore_{}_measures": "",
    "telemetry/judge_{}_readings": "",
    "telemetry/reject_{}_reading": """
+ telemetry.check_finite('soc', p_soc),
- text, timestamptz, double precision, double precision, timestamptz, interval
+ text, timestamptz, double precision, double precision, double precision, timestamptz, interval
- text, timestamptz, double precision, double precision, timestamptz, interval
+ text, timestamptz, double precision, double precision, double precision, timestamptz, interval
""",
    "telemetry/store_profiled_{}_readings": "",
}
"""Pair -> the lines that differ all the same, of meters (-) and of vehicles in the words of meters (+)."""

NOT_TWINS = {"api/get_{}_status", "bi/{}", "bi/{}_current", "bi/{}_day"}
"""A vehicle's status has its meter's with it; the views of bi have the columns of their kind."""

WORDS_OF_PRICES = {
    "grid intensities": "prices",
    "Grid intensities": "Prices",
    "intensities": "prices",
    "grid intensity": "price",
    "grid_intensity": "price",
    "meter_intensity": "meter_price",
    "co2_g_per_kwh": "price_per_kwh",
    "(CO2 in g/kWh, from 0 to 10000)": "(currency/kWh, from -1000000 to 1000000; currency as an ISO 4217 code)",
    "BETWEEN 0 AND 10000": "BETWEEN -1000000 AND 1000000",
    "from 0 to 10000 g/kWh": "from -1000000 to 1000000",
    "g CO2/kWh": "currency/kWh",
    "CO2 emitted for the energy, g/kWh": "Price in currency/kWh; it may be negative",
}
"""A word of grid intensities -> the word of prices in the same place."""
WORD_OF_PRICES = re.compile("|".join(map(re.escape, WORDS_OF_PRICES)))

ONLY_OF_PRICES = re.compile(
    r"^ *p_currency text,\n|^ *p\.currency,\n|^COMMENT ON COLUMN [\w.]+\.currency IS .*\n"
    r"|^ *IF NOT coalesce\(p_currency (?:.*\n)+?.*END IF;\n"
    r"|, currency = p_currency|, currency(?: text)?(?=\))|, p_currency|, p\.currency"
    r"|(?<=numeric, )text, (?=text, timestamptz)",
    re.MULTILINE,
)
"""The currency, which grid intensities lack."""

PRICES = {
    "ops/set_price": "ops/set_grid_intensity",
    "ops/remove_price": "ops/remove_grid_intensity",
    "telemetry/list_prices": "telemetry/list_intensities",
    "telemetry/meter_price": "telemetry/meter_intensity",
}


def without_line_breaks_in_comments(text: str) -> str:
    return re.sub(r"(?<=\S)\n *-- (?=\S)", " ", re.sub(r"^ *-- ", "-- ", text, flags=re.MULTILINE))


def in_words_of_meters(text: str) -> str:
    text = ONLY_OF_VEHICLES.sub("", text)
    return WORD.sub(lambda word: WORDS[word[0]], text)


@pytest.mark.parametrize("pair", DIFFERENCES)
def test_twins_differ_where_the_kinds_differ(pair: str) -> None:
    meter, vehicle = ((SQL / f"{pair.format(kind)}.sql").read_text() for kind in ("meter", "vehicle"))
    texts = [without_line_breaks_in_comments(text).splitlines() for text in (meter, in_words_of_meters(vehicle))]
    found = [line for line in difflib.ndiff(*texts) if line[0] in "-+"]
    assert [re.sub(r"\s+", " ", line) for line in found] == DIFFERENCES[pair].splitlines()[1:]


@pytest.mark.parametrize("pair", DIFFERENCES)
def test_state_of_charge_stands_wherever_the_battery_temperature_does(pair: str) -> None:
    code = (SQL / f"{pair.format('vehicle')}.sql").read_text().partition("COMMENT ON")[0]
    code = code.replace("telemetry.is_negligible(s.battery_temp)", "")  # of averages only
    counts = [len(re.findall(rf"(?:\b|p_){name}\b", code)) for name in ("soc", "battery_?[Tt]emp")]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("price", "intensity"), PRICES.items())
def test_prices_and_grid_intensities_differ_in_the_currency_alone(price: str, intensity: str) -> None:
    # from the code on, as the comment before it need not be repeated
    prices, intensities = ((SQL / f"{name}.sql").read_text().partition("CREATE")[2] for name in (price, intensity))
    in_words_of_prices = WORD_OF_PRICES.sub(lambda word: WORDS_OF_PRICES[word[0]], intensities)
    assert ONLY_OF_PRICES.sub("", prices).splitlines() == in_words_of_prices.splitlines()


def test_every_pair_of_prices_is_looked_at() -> None:
    names = {path.relative_to(SQL).with_suffix("").as_posix() for path in SQL.glob("*/*.sql")}
    assert {name for name in names if re.match("(?:ops|telemetry)/.*(?:price|intensit)", name)} - {
        "ops/import_prices",  # a file has both
        "ops/set_price_zone",
        "telemetry/price_energy",
        "telemetry/price_segments",
        "telemetry/price_time_zone",
    } == {*PRICES, *PRICES.values()}


def test_every_pair_of_files_is_looked_at() -> None:
    names = {path.relative_to(SQL).with_suffix("").as_posix() for path in SQL.glob("*/*.sql")}
    pairs = {name.replace("meter", "{}") for name in names if name.replace("meter", "vehicle") in names - {name}}
    assert pairs == DIFFERENCES.keys() | NOT_TWINS
