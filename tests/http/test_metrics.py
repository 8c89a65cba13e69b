"""GET /metrics: what is counted, and what the database says of itself, as Prometheus reads it."""

import time
from datetime import timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from service import __version__
from service.database import group_commit
from service.database.calls import GET_DATABASE_METRICS
from service.database.pool import Database, open_database
from service.http.routes.metrics import DATABASE_METRICS
from service.settings import Settings
from tests.http.test_auth import bearer, token
from tests.support import YESTERDAY, Api, Owner, meter_reading, new_pair, now, served
from tests.support.delivery import open_alert

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


async def scrape(api: Api, **headers: str) -> Samples:
    answer = await api.http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


class Watch:
    """What has been added to samples since it was made."""

    def __init__(self, api: Api, before: Samples) -> None:
        self._api, self._before = api, before

    async def rises(self, *keys: tuple[str, frozenset[tuple[str, str]]]) -> list[float]:
        after = await scrape(self._api)
        return [after.get(k, 0) - self._before.get(k, 0) for k in keys]


async def watch(api: Api) -> Watch:
    return Watch(api, await scrape(api))


def readings(kind: str, outcome: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return key("energy_readings_total", kind=kind, outcome=outcome)


async def test_readings_are_counted_by_what_became_of_them(api: Api) -> None:
    watching, pair = await watch(api), new_pair()
    await api.post_meter(pair.meter)
    await api.post_meter(pair.meter)
    await api.post_meter(pair.meter, voltage=231.0)
    await api.post_meter(pair.meter, kwhConsumedAc=-1)
    await api.post_meter(pair.meter, kwhConsumedAc=...)
    await api.post_vehicle(pair.vehicle, now() + timedelta(hours=1))
    batch = [meter_reading(pair.meter, YESTERDAY + timedelta(minutes=n)) for n in range(4)]
    await api.post("/v1/ingest/batch", [*batch, 17, {"vehicleId": pair.vehicle}])
    assert await watching.rises(
        readings("meter", "stored"),
        readings("meter", "duplicate"),
        readings("meter", "conflict"),
        readings("meter", "value_out_of_range"),
        readings("meter", "field_missing"),
        readings("vehicle", "timestamp_in_future"),
        readings("vehicle", "field_missing"),
        readings("unknown", "field_type_invalid"),
        readings("vehicle", "stored"),
    ) == [1 + 3, 1 + 1, 1, 1, 1, 1, 1, 1, 0]


async def test_each_call_to_the_database_is_counted_with_its_size_and_its_time(api: Api) -> None:
    watching, pair = await watch(api), new_pair()
    await api.post(
        "/v1/ingest/meter/batch", [meter_reading(pair.meter, YESTERDAY + timedelta(seconds=n)) for n in range(150)]
    )
    calls, rows, below_150, below_250, timed, seconds = await watching.rises(
        key("energy_ingest_call_readings_count", kind="meter"),
        key("energy_ingest_call_readings_sum", kind="meter"),
        key("energy_ingest_call_readings_bucket", kind="meter", le="100.0"),
        key("energy_ingest_call_readings_bucket", kind="meter", le="200.0"),
        key("energy_ingest_call_duration_seconds_count", kind="meter"),
        key("energy_ingest_call_duration_seconds_sum", kind="meter"),
    )
    assert (calls, rows, below_150, below_250, timed) == (1, 150, 0, 1, 1)
    assert 0 < seconds < 10


async def test_requests_are_counted_by_the_template_of_their_route_and_never_by_their_path(api: Api) -> None:
    watching, name = await watch(api), new_pair().meter

    def requests(method: str, route: str, status: int) -> tuple[str, frozenset[tuple[str, str]]]:
        return key("energy_http_requests_total", method=method, route=route, status=str(status))

    await api.http.get(f"/v1/status/meter/{name}")
    await api.http.get(f"/{name}")
    await api.http.delete(f"/v1/status/meter/{name}")
    await api.http.request("PROPFIND", f"/{name}")
    await api.post_meter(name)
    timed = key("energy_http_request_duration_seconds_count", method="GET", route="/v1/status/meter/{meter_id}")
    assert await watching.rises(
        requests("GET", "/v1/status/meter/{meter_id}", 404),
        requests("GET", "unknown", 404),
        requests("DELETE", "unknown", 405),
        requests("other", "unknown", 404),
        requests("POST", "/v1/ingest/meter", 201),
        timed,
    ) == [1, 1, 1, 1, 1, 1]
    assert not [labels for labels in await scrape(api) if name in str(labels)]


async def test_what_the_gate_refuses_is_counted_under_its_route_too(database: Database, owner: Owner) -> None:
    settings = Settings(auth="required", key_rate=1)
    async with served(database, settings) as guarded:
        read, gateway = await token(owner, "read"), await token(owner, "gateway", "meter", ["M1"])
        anonymous = await guarded.http.get("/metrics")
        forbidden = await guarded.http.get("/metrics", headers=bearer(gateway))
        assert (anonymous.status_code, forbidden.status_code) == (401, 403)
        first = await scrape(guarded, **bearer(read))
        statuses = [
            (await guarded.http.get("/v1/analytics/fleet", headers=bearer(gateway))).status_code for _ in range(3)
        ]
        assert statuses == [403, 429, 429]
        after = await scrape(guarded, **bearer(read))
    rises = {
        (dict(labels)["route"], dict(labels)["status"]): value - first.get((name, labels), 0)
        for (name, labels), value in after.items()
        if name == "energy_http_requests_total" and value != first.get((name, labels), 0)
    }
    assert rises == {
        ("/v1/analytics/fleet", "403"): 1,
        ("/v1/analytics/fleet", "429"): 2,
        ("/metrics", "200"): 1,
    }


async def test_a_request_refused_because_too_much_waits_is_an_overload(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = await watch(api)
    await api.post_meter(new_pair().meter)
    monkeypatch.setattr(group_commit.GroupCommit, "pending", property(lambda _: 10_000, lambda *_: None), raising=False)
    assert (await api.post_meter(new_pair().meter)).status_code == 503
    monkeypatch.undo()
    assert await watching.rises(
        key("energy_overloads_total", kind="meter"), key("energy_overloads_total", kind="vehicle")
    ) == [1, 0]


async def test_the_queue_the_pool_and_their_limits_are_told(database: Database) -> None:
    async with served(database, Settings()) as api:
        samples = await scrape(api)
    assert samples[key("energy_build_info", version=__version__)] == 1
    assert samples[key("energy_ingest_queue_readings", kind="meter")] == 0
    assert samples[key("energy_ingest_queue_readings", kind="vehicle")] == 0
    assert samples[key("energy_ingest_queue_limit_readings")] == 10_000
    assert samples[key("energy_database_pool_limit_connections", pool="write")] == database.write.get_max_size()
    states = {
        state: samples[key("energy_database_pool_connections", pool="write", state=state)] for state in ("idle", "busy")
    }
    assert sum(states.values()) == database.write.get_size()
    assert key("energy_database_pool_limit_connections", pool="read") not in samples  # it is the same one


NOT_YET = {
    "energy_job_last_success_timestamp_seconds",
    "energy_standby_lag_bytes",
    "energy_alertmanager_behind_seconds",
}
"""Metrics without a sample: a job that has never run has not succeeded yet; there is no standby and no Alertmanager."""


async def test_the_database_tells_of_its_aggregates_jobs_devices_and_chunks(database: Database, owner: Owner) -> None:
    pair = new_pair()
    async with served(database, Settings()) as api:
        await api.post_meter(pair.meter, now())
        await api.post_vehicle(pair.vehicle)
        samples = await scrape(api)
    names = {name for name, _ in samples}
    assert names >= {*DATABASE_METRICS} - NOT_YET
    assert samples[key("energy_synchronous_standbys_required")] == 0
    assert {samples[key("energy_standbys", state=state)] for state in ("synchronous", "asynchronous")} == {0}
    assert samples[key("energy_database_up")] == 1
    assert samples[key("energy_policy_faults")] == 0
    for kind in ("meter", "vehicle"):
        silent = await owner.fetchval("SELECT count(*) FROM ops.silent_device WHERE kind = $1", kind)
        known = await owner.fetchval(
            f"SELECT count(*) FROM telemetry.device WHERE kind = '{kind}' AND status <> 'retired'"
        )
        assert samples[key("energy_devices", kind=kind, state="silent")] == silent
        assert samples[key("energy_devices", kind=kind, state="reporting")] == known - silent
    for row in await owner.fetch("SELECT object, chunks, bytes FROM ops.storage"):
        assert samples[key("energy_chunks", object=row["object"])] == row["chunks"]
        taken = [
            samples[key("energy_storage_bytes", object=row["object"], state=s)] for s in ("compressed", "uncompressed")
        ]
        assert (taken[1] > 0) == (row["bytes"] > 0)
    for row in await owner.fetch(
        "SELECT coalesce(object, 'all') AS object, duty, health, failures FROM ops.job_health"
    ):
        labels = {"object": row["object"], "duty": row["duty"]}
        assert samples[key("energy_job_healthy", **labels)] == (row["health"] == "ok")
        assert samples[key("energy_job_failures_total", **labels)] == row["failures"]
    for row in await owner.fetch("SELECT aggregate, stale_ranges::text AS stale FROM ops.aggregate_lag"):
        limit = samples[key("energy_aggregate_lag_limit_seconds", aggregate=row["aggregate"])]
        assert limit == timedelta(minutes=11).total_seconds()  # two runs, and five minutes that one may take
        lag = samples[key("energy_aggregate_lag_seconds", aggregate=row["aggregate"])]
        assert (lag > 0) == (row["stale"] != "{}")


async def test_both_of_prometheus_formats_are_spoken(api: Api) -> None:
    answer = await api.http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(answer.text)}
    assert {name.removesuffix("_total") for name in DATABASE_METRICS} - families.keys() <= NOT_YET
    for family in families.values():
        assert family.documentation.endswith("."), family.name
        assert family.name.startswith("energy_")
    assert families["energy_readings"].type == "counter"
    assert families["energy_ingest_call_duration_seconds"].type == "histogram"


async def test_the_database_is_asked_once_in_ten_seconds_however_often_it_is_scraped(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    probe = Database.probe_primary

    async def count(self: Database, query: str):
        asked.append(query)
        return await probe(self, query)

    monkeypatch.setattr(Database, "probe_primary", count)
    async with served(database, Settings()) as api:
        for _ in range(3):
            await scrape(api)
    assert asked == [GET_DATABASE_METRICS]


async def test_without_its_database_metrics_are_there_within_two_seconds_and_say_so() -> None:
    async with (
        open_database("postgresql://nobody@127.0.0.1:1/none", connect=False) as away,
        served(away, Settings()) as api,
    ):
        before = time.monotonic()
        samples = await scrape(api)
        assert time.monotonic() - before < 2
    assert samples[key("energy_database_up")] == 0
    assert not {name for name, _ in samples} & DATABASE_METRICS.keys()
    assert key("energy_ingest_queue_readings", kind="meter") in samples


async def test_alerts_and_their_delivery_are_counted_and_no_device_is_named(database: Database, owner: Owner) -> None:
    async def counted() -> Samples:
        async with served(database, Settings()) as api:
            return await scrape(api)

    hot = key("energy_alerts_open", rule_kind="battery_hot", severity="critical")
    pending, given_up = (key("energy_webhook_messages", state=state) for state in ("pending", "given_up"))
    address, device = "http://alertmanager:9093", new_pair().vehicle
    behind = key("energy_alertmanager_behind_seconds", alertmanager=address)
    before = await counted()
    assert before[key("energy_alerts_open", rule_kind="standby_high", severity="info")] >= 0, "also without any"
    await owner.execute("SELECT ops.set_webhook($1, 'https://alerts.example')", device)
    for number in range(2):
        await open_alert(owner, f"{device}-{number}", "battery_hot", "critical")
    await owner.execute(
        "UPDATE ops.webhook_message SET created_at = now() - INTERVAL '20 minutes', "
        "given_up_at = CASE WHEN alert ->> 'device_id' = $2 THEN now() END WHERE webhook_name = $1",
        device,
        f"{device}-1",
    )
    await owner.execute(
        "INSERT INTO ops.alertmanager (address, due_at, sent_at) VALUES ($1, now(), now() - INTERVAL '1 hour')", address
    )
    after = await counted()
    assert after[hot] == before[hot] + 2
    assert (after[pending], after[given_up]) == (before[pending] + 1, before[given_up] + 1)
    assert after[key("energy_webhook_oldest_pending_seconds")] >= 1200
    assert after[behind] == pytest.approx(3600, abs=60)
    assert not [labels for _, labels in after if device in str(labels)]
    await owner.execute("UPDATE ops.alertmanager SET attempted_at = now() - INTERVAL '11 minutes'")
    assert behind not in await counted(), "it left the settings"
    await owner.execute("DELETE FROM ops.alertmanager")
    await owner.execute("SELECT ops.remove_webhook($1)", device)
