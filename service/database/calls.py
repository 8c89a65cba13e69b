"""SQL calls of the service: plain calls, and grouped calls, in which requests share a call and a commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

from service.observability.metrics import CALL_DURATION, CALL_READINGS, OVERLOADS, count_ignored, count_readings

Row: TypeAlias = tuple[Any, ...]


class GroupedCall:
    """A call that takes an array of rows and returns a record for each, in the order of the rows.

    Attributes:
        name: the call's name in metrics.
        query: its SQL; `$1` is the array.
        noun: the rows, in messages to people.
        time_at: the position of the reading's time in a row; None for rows without one.
    """

    def __init__(self, name: str, query: str, noun: str, time_at: int | None = None) -> None:
        self.name = name
        self.query = query
        self.noun = noun
        self.time_at = time_at

    def count(self, rows: Sequence[Row], records: Sequence[Any], seconds: float) -> None:
        """Count a call that was committed after `seconds` and returned `records`."""

    def count_overload(self) -> None:
        """Count a request that was turned away because too many rows wait."""


class IngestCall(GroupedCall):
    """A call that stores readings of a kind, and returns outcome, detail and ignored measures of each."""

    def __init__(self, kind: str, query: str) -> None:
        super().__init__(kind, query, "readings", time_at=1)
        self.query_once = query.removesuffix(")") + ", FALSE)"
        """The same call without keeping rejected readings, for a caller that keeps them itself."""
        self._size = CALL_READINGS.labels(kind).observe
        self._duration = CALL_DURATION.labels(kind).observe
        self._overload = OVERLOADS.labels(kind).inc

    def count(self, rows: Sequence[Row], records: Sequence[Any], seconds: float) -> None:
        """Count the call, its readings by outcome, and the ignored measures of the stored ones."""
        self._size(len(rows))
        self._duration(seconds)
        for outcome, number in Counter([record[0] for record in records]).items():
            count_readings(self.name, outcome, number)
        for outcome, _, ignored in [record for record in records if record[2]]:
            if outcome == "stored":
                for field, *_ in ignored:
                    count_ignored(self.name, field)

    def count_overload(self) -> None:
        """Count a request that was turned away."""
        self._overload()


class RejectedCall(GroupedCall):
    """A call that keeps readings rejected before SQL saw them; a row begins with kind and code."""

    def count(self, rows: Sequence[Row], records: Sequence[Any], seconds: float) -> None:
        """Count the rejected readings by kind and code."""
        for (kind, code), number in Counter([(row[0], row[1]) for row in rows]).items():
            count_readings(kind, code, number)


INGEST_METER = IngestCall(
    "meter", "SELECT outcome, detail, ignored FROM api.ingest_meter_readings($1::api.meter_reading[])"
)
INGEST_VEHICLE = IngestCall(
    "vehicle", "SELECT outcome, detail, ignored FROM api.ingest_vehicle_readings($1::api.vehicle_reading[])"
)
INGEST = (INGEST_METER, INGEST_VEHICLE)
KEEP_REJECTED = RejectedCall(
    "rejected",
    # an empty record for each row, as grouped calls return one
    """
    WITH kept AS MATERIALIZED (SELECT api.ingest_rejected_readings($1::api.rejected_reading[]))
    SELECT FROM kept, unnest($1::api.rejected_reading[])
    """,
    "rejected readings",
)
FIND_API_KEYS = GroupedCall("api_key", "SELECT * FROM api.get_api_keys($1)", "look-ups of API keys")

AWAIT_STANDBYS = "SELECT api.await_standbys()"
ALREADY_SO = frozenset({"IE006"})
"""SQLSTATEs that tell a repeated write that it was done before. Such a refusal rolls back, so it waits for nobody."""

GET_VEHICLE_PERFORMANCE = "SELECT * FROM api.get_vehicle_performance($1, $2, $3, $4)"
LIST_VEHICLE_EFFICIENCY = "SELECT * FROM api.list_vehicle_efficiency($1, $2, $3, $4, $5, $6, $7)"
LIST_EFFICIENCY_BUCKETS = "SELECT * FROM api.list_vehicle_efficiency_buckets($1, $2, $3, $4, $5)"
LIST_ENERGY_COSTS = "SELECT * FROM api.list_energy_costs($1, $2, $3, $4, $5)"
GET_FLEET_SUMMARY = "SELECT * FROM api.get_fleet_summary($1, $2, $3)"
GET_FLEET_OVERVIEW = "SELECT * FROM api.get_fleet_overview()"
GET_FLEET_PULSE = """
    SELECT p.*, a.alerts_open, a.alerts_critical
    FROM api.get_fleet_pulse() AS p
    CROSS JOIN (
        SELECT
            coalesce(sum(c.alerts), 0)::bigint AS alerts_open,
            coalesce(sum(c.alerts) FILTER (WHERE c.severity = 'critical'), 0)::bigint AS alerts_critical
        FROM api.count_open_alerts() AS c
    ) AS a
"""
LIST_READINGS = {
    "meter": "SELECT * FROM api.list_meter_readings($1, $2, $3, $4, $5, $6)",
    "vehicle": "SELECT * FROM api.list_vehicle_readings($1, $2, $3, $4, $5, $6)",
}
LIST_BUCKETS = {
    "meter": "SELECT * FROM api.list_meter_buckets($1, $2, $3, $4, $5, $6, $7)",
    "vehicle": "SELECT * FROM api.list_vehicle_buckets($1, $2, $3, $4, $5, $6, $7)",
}
LIST_SESSIONS = "SELECT * FROM api.list_sessions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
LIST_VEHICLE_SESSIONS = "SELECT * FROM api.list_vehicle_sessions($1, $2, $3, $4, $5, $6, $7)"
GET_METER_STATUS = "SELECT * FROM api.get_meter_status($1)"
GET_VEHICLE_STATUS = "SELECT * FROM api.get_vehicle_status($1)"
LIST_DEVICES = "SELECT * FROM api.list_devices($1, $2, $3, $4, $5, $6, $7, $8, $9)"
LIST_DEVICES_BY_ENERGY = "SELECT * FROM api.list_devices_by_energy($1, $2, $3, $4, $5, $6, $7, $8, $9)"
GET_DEVICE_PROFILE = "SELECT * FROM api.get_device_profile($1, $2)"
SET_DEVICE_PROFILE = "SELECT api.set_device_profile($1, $2, $3, $4, $5, $6, $7)"
EXCHANGE_REGISTER = "SELECT * FROM api.exchange_register($1, $2, $3, $4, $5, $6)"
LIST_REGISTER_EXCHANGES = "SELECT * FROM api.list_register_exchanges($1, $2)"
LIST_VEHICLE_METERS = "SELECT * FROM api.list_vehicle_meters($1)"
LIST_METER_VEHICLES = "SELECT * FROM api.list_meter_vehicles($1)"
LINK_VEHICLE = "SELECT api.link_vehicle($1, $2, $3, $4)"
UNLINK_VEHICLE = "SELECT api.unlink_vehicle($1, $2)"
LIST_REJECTED_READINGS = "SELECT * FROM api.list_rejected_readings($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
SETTLE_REJECTED_READINGS = "SELECT api.settle_rejected_readings($1, $2, $3)"
LIST_ALERTS = "SELECT * FROM api.list_alerts($1, $2, $3, $4, $5, $6, $7)"
GET_ALERT = "SELECT * FROM api.get_alert($1)"
ACKNOWLEDGE_ALERT = "SELECT * FROM api.acknowledge_alert($1, $2, $3)"
LIST_CURRENT_ALERTS = "SELECT * FROM api.list_current_alerts($1, $2, $3)"
LEASE_WEBHOOK_MESSAGES = "SELECT * FROM api.lease_webhook_messages()"
SETTLE_WEBHOOK_MESSAGE = "SELECT api.settle_webhook_message($1, $2, $3)"
LEASE_ALERTMANAGER = "SELECT api.lease_alertmanager($1) AS closed_since"
SETTLE_ALERTMANAGER = "SELECT api.settle_alertmanager($1, $2)"
GET_API_KEY_REVISION = "SELECT api.get_api_key_revision() AS revision"
RECORD_API_KEY_USE = "SELECT api.record_api_key_use($1)"
GET_PRIMARY_STATE = """
    SELECT api.get_schema_version() AS version, current_setting('transaction_read_only')::boolean AS read_only
"""
GET_PRIMARY_POSITION = "SELECT pg_catalog.pg_current_wal_lsn()::text AS lsn"
GET_REPLICA_STATE = """
    SELECT
        api.get_schema_version() AS version,
        -- a server that is no standby has nothing to replay
        NOT pg_catalog.pg_is_in_recovery()
            OR coalesce(pg_catalog.pg_last_wal_replay_lsn() >= $1::text::pg_lsn, FALSE) AS caught_up,
        extract(EPOCH FROM clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8 AS lag_s
"""
GET_DATABASE_METRICS = """
    SELECT name, labels, value FROM api.get_database_metrics()
    UNION ALL
    SELECT
        'energy_alerts_open', pg_catalog.jsonb_build_object('rule_kind', rule_kind, 'severity', severity), alerts
    FROM api.count_open_alerts()
"""

REFRESH_AGGREGATES = tuple(
    f'CALL ops.refresh_aggregates(NULL, \'{{"kind": "{kind}"}}\')' for kind in ("meter", "vehicle")
)
"""Refresh of the aggregates, to be called as energy_owner, for databases without background jobs."""
