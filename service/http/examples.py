"""Examples of the OpenAPI document: one for each struct on the wire, by its name, and one for each problem.

They tell of one story, that of the README: meter M001 feeds vehicle V001. Energies are kWh, times UTC.
"""

from __future__ import annotations

from typing import Any

_METER_READING = {"meterId": "M001", "kwhConsumedAc": 150.5, "voltage": 230, "timestamp": "2026-02-08T18:00:00Z"}
_VEHICLE_READING = {
    "vehicleId": "V001",
    "soc": 75,
    "kwhDeliveredDc": 128.4,
    "batteryTemp": 32,
    "timestamp": "2026-02-08T18:00:00Z",
}
_RANGE_DETAIL = "kwhConsumedAc -150.5 is outside 0 to 10000000 kWh"
_VOLTAGE_IGNORED = {
    "field": "voltage",
    "code": "value_out_of_range",
    "detail": "voltage 20000 is outside 0 to 1500 V",
}
_TIMES = {"timestamp": "2026-02-08T18:00:00Z", "receivedAt": "2026-02-08T18:00:01.204Z"}
_DAY = {"periodStart": "2026-02-07T18:01:00Z", "periodEnd": "2026-02-08T18:01:00Z"}
_JUDGED = {"efficiencyRatio": 0.8532, "efficiencyStatus": "normal"}
_BATTERY = {"batteryTempMin": 24, "batteryTempAvg": 28.5, "batteryTempMax": 32, "socFirst": 20, "socLast": 75}
_COUNTS = {
    "vehiclesNormal": 9610,
    "vehiclesLow": 42,
    "vehiclesImpossible": 1,
    "vehiclesIdle": 320,
    "vehiclesUnknown": 27,
}
_DISTRIBUTION = [
    {"ratioFrom": 0.8, "ratioTo": 0.85, "vehicles": 42},
    {"ratioFrom": 0.9, "ratioTo": 0.95, "vehicles": 9610},
    {"ratioFrom": 1, "ratioTo": None, "vehicles": 1},
]
_SILENT_DEVICE = {
    "kind": "meter",
    "deviceId": "M017",
    "recordedAt": "2026-02-08T16:20:00Z",
    "expectedIntervalS": 60,
}
_ALERT = {
    "id": 17,
    "ruleName": "efficiency_low",
    "ruleKind": "efficiency_low",
    "kind": "vehicle",
    "deviceId": "V007",
    "severity": "warning",
    "openedAt": "2026-02-08T14:00:00Z",
    "lastSeenAt": "2026-02-08T18:00:00Z",
    "closedAt": None,
    "closeReason": None,
    "value": 0.78,
    "threshold": 0.85,
    "reason": "efficiency 0.78 is below 0.85: of 41.2 kWh AC, 32.1 kWh DC were delivered in 24 h",
    "details": {"meterId": "M007"},
    "energyLostKwh": 9.1,
    "acknowledgedAt": None,
    "acknowledgedBy": None,
    "note": None,
}
_COST = {
    "bucket": "2026-06-30T22:00:00Z",
    "currency": "EUR",
    "kwhConsumedAc": 310.5,
    "kwhPriced": 310.5,
    "cost": 96.255,
    "kwhWithIntensity": 310.5,
    "co2Kg": 108.675,
    "isOpen": False,
}
_DEVICE = {
    "kind": "meter",
    "deviceId": "M001",
    "status": "reporting",
    **_TIMES,
    "firstReceivedAt": "2026-01-12T07:30:00.511Z",
    "expectedIntervalS": 60,
    "kwh": 150.5,
    "voltage": 230,
    "soc": None,
    "batteryTemp": None,
    "kwh24h": None,
    "efficiencyRatio": None,
    "efficiencyStatus": None,
}
_EFFICIENCY_BUCKET = {
    "bucket": "2026-02-08T17:00:00Z",
    "meterId": "M001",
    "kwhConsumedAc": 150.5,
    "kwhDeliveredDc": 128.4,
    **_JUDGED,
    **_BATTERY,
    "isOpen": False,
}
_NEW_EXCHANGE = {"at": "2026-02-08T12:00:00Z", "lastRegister": 48210.7, "firstRegister": 0}
_EXCHANGE = {**_NEW_EXCHANGE, "declaredAt": "2026-02-08T12:31:04.118Z", "declaredBy": "k7m2q9xw4t"}
_METER_BUCKET = {
    "bucket": "2026-02-08T17:00:00Z",
    "kwhConsumedAc": 150.5,
    "readings": 60,
    "voltageMin": 228.9,
    "voltageAvg": 230.1,
    "voltageMax": 231.4,
    "isOpen": False,
}
_VEHICLE_BUCKET = {
    "bucket": "2026-02-08T17:00:00Z",
    "kwhDeliveredDc": 128.4,
    "readings": 60,
    **_BATTERY,
    "isOpen": False,
}
_SESSION = {
    "sessionId": "0198c2a4-6d1e-7c3b-9f42-5a1be0c7d913",
    "vehicleId": "V001",
    "meterId": "M001",
    "startedAt": "2026-02-08T15:00:00Z",
    "endedAt": "2026-02-08T18:00:00Z",
    "durationS": 10800,
    "kwhDeliveredDc": 128.4,
    "kwhConsumedAc": 150.5,
    "kwhLost": 22.1,
    **_JUDGED,
    "socStart": 20,
    "socEnd": 75,
    "batteryTempAvg": 28.5,
    "batteryTempMax": 32,
    "meanKw": 42.8,
    "peakKw": 49.6,
    "readings": 180,
    "meterReadings": 180,
    "isComplete": True,
    "isOpen": False,
    "currency": "EUR",
    "cost": 46.655,
    "co2Kg": 52.675,
}
_WINDOW = {"from": "2026-01-12T07:00:00Z", "until": None, "origin": "link"}
_PROFILE = {"energyKind": "register", "registerMax": 99999.9, "maxKw": 22, "expectedIntervalS": 60, "retired": False}
_CURSOR = "WyIyMDI2LTAyLTA4VDE4OjAwOjAwWiJd"


def _page(item: dict[str, Any], following: str | None = None) -> dict[str, Any]:
    return {"items": [item], "next": following}


STRUCTS: dict[str, Any] = {
    "MeterReading": _METER_READING,
    "VehicleReading": _VEHICLE_READING,
    "Outcome": {"outcome": "stored"},
    "BatchOutcome": {
        "received": 3,
        "stored": 1,
        "duplicates": 1,
        "conflicts": 0,
        "rejected": 1,
        "errors": [{"index": 2, "code": "value_out_of_range", "detail": _RANGE_DETAIL}],
        "ignored": [{"index": 0, **_VOLTAGE_IGNORED}],
    },
    "Performance": {
        "vehicleId": "V001",
        **_DAY,
        "totalEnergyConsumedAc": 150.5,
        "totalEnergyDeliveredDc": 128.4,
        **_JUDGED,
        "avgBatteryTemp": 32.0,
        "meterIds": ["M001"],
        "meterReadings": 1,
        "vehicleReadings": 1,
    },
    "Efficiencies": _page(
        {
            "vehicleId": "V007",
            "totalEnergyConsumedAc": 41.2,
            "totalEnergyDeliveredDc": 32.1,
            "efficiencyRatio": 0.7791,
            "efficiencyStatus": "low",
            "meterReadings": 1440,
            "vehicleReadings": 1440,
        }
    ),
    "EfficiencyBuckets": {"items": [_EFFICIENCY_BUCKET]},
    "CostBuckets": {"items": [_COST]},
    "FleetSummary": {
        **_DAY,
        "totalEnergyConsumedAc": 402311.5,
        "totalEnergyDeliveredDc": 366103.4,
        "efficiencyRatio": 0.91,
        "efficiencyStatus": "normal",
        "vehicles": 10000,
        **_COUNTS,
        "distribution": _DISTRIBUTION,
        "silentMeters": 1,
        "silentVehicles": 0,
        "silentDevices": [_SILENT_DEVICE],
    },
    "FleetOverview": {
        "timeZone": "Europe/Berlin",
        "todayStart": "2026-02-07T23:00:00Z",
        "energyUntil": "2026-02-08T18:01:00Z",
        "receivedUntil": "2026-02-08T18:00:59.871Z",
        "kwhConsumedAcToday": 311204.9,
        "kwhDeliveredDcToday": 283196.5,
        **_DAY,
        "efficiencyRatio": 0.91,
        "efficiencyStatus": "normal",
        **_COUNTS,
        "distribution": _DISTRIBUTION,
        "hours": [{"bucket": "2026-02-08T17:00:00Z", "kwhConsumedAc": 17120.3, "kwhDeliveredDc": 15579.5}],
        "worst": [
            {
                "vehicleId": "V007",
                "kwhConsumedAc": 41.2,
                "kwhDeliveredDc": 32.1,
                "efficiencyRatio": 0.7791,
                "efficiencyStatus": "low",
                "trend": [{"bucket": "2026-02-06T23:00:00Z", "efficiencyRatio": 0.81}],
            }
        ],
        "silentDevices": [_SILENT_DEVICE],
        "rejected": [
            {
                "kind": "meter",
                "code": "value_out_of_range",
                "isStored": False,
                "readings": 3,
                "newest": "2026-02-08T17:58:00.402Z",
                "deviceId": "M001",
                "source": "192.0.2.17",
                "detail": _RANGE_DETAIL,
                "payload": '{"meterId": "M001", "kwhConsumedAc": -150.5}',
            }
        ],
    },
    "Pulse": {
        "timeZone": "Europe/Berlin",
        "at": "2026-02-08T18:01:00Z",
        "lastReceivedAt": "2026-02-08T18:00:59.871Z",
        "readingsPerMinute": 19998,
        "meters": 10000,
        "metersSilent": 1,
        "vehicles": 10000,
        "vehiclesSilent": 0,
        "vehiclesCharging": 3120,
        "alertsOpen": 44,
        "alertsCritical": 1,
    },
    "MeterReadings": _page(
        {**_TIMES, "kwhConsumedAc": 150.5, "voltage": 230, "registerKwh": None, "exchangeKwh": None}, _CURSOR
    ),
    "MeterBuckets": _page(_METER_BUCKET),
    "VehicleReadings": _page(
        {
            **_TIMES,
            "soc": 75,
            "kwhDeliveredDc": 128.4,
            "batteryTemp": 32,
            "registerKwh": None,
            "exchangeKwh": None,
        },
        _CURSOR,
    ),
    "VehicleBuckets": _page(_VEHICLE_BUCKET),
    "Sessions": _page(_SESSION),
    "Devices": _page(_DEVICE),
    "NewLink": {"meterId": "M001", "from": "2026-01-12T07:00:00Z"},
    "Links": {"vehicleId": "V001", "meterId": "M001", "items": [{"meterId": "M001", **_WINDOW}]},
    "MeterLinks": {"meterId": "M001", "vehicleId": "V001", "items": [{"vehicleId": "V001", **_WINDOW}]},
    "NewProfile": _PROFILE,
    "Profile": {"deviceId": "M001", **_PROFILE, "observedIntervalS": 60, "setAt": "2026-01-12T07:12:40.090Z"},
    "NewExchange": _NEW_EXCHANGE,
    "Exchange": _EXCHANGE,
    "Exchanges": {"deviceId": "M001", "items": [_EXCHANGE]},
    "Alert": _ALERT,
    "Alerts": {**_page(_ALERT), "mayAcknowledge": True},
    "Acknowledgement": {"note": "the charger is being replaced"},
    "MeterStatus": {"meterId": "M001", **_TIMES, "kwhConsumedAc": 150.5, "voltage": 230},
    "VehicleStatus": {
        "vehicleId": "V001",
        **_TIMES,
        "soc": 75,
        "kwhDeliveredDc": 128.4,
        "batteryTemp": 32,
        "charging": True,
        "meterId": "M001",
        "meterTimestamp": "2026-02-08T18:00:00Z",
        "meterVoltage": 230,
    },
    "Liveness": {"status": "alive"},
    "Readiness": {"status": "ready", "schemaVersion": "0022_bi_sessions"},
}
"""Name of a struct -> its example."""

PROBLEMS: tuple[tuple[str, str, str], ...] = (
    ("/v1/ingest/.*batch", "batch_empty", "there is no reading in the batch"),
    ("/v1/ingest/.*batch", "batch_too_large", "a batch has at most 10000 readings (ENERGY_MAX_BATCH_ITEMS)"),
    ("/v1/ingest/.*batch", "parameter_invalid", "there is no query parameter 'limit' here, nor any other"),
    (
        "/v1/ingest",
        "conflict",
        "meterId M001 has a reading of 2026-02-08T18:00:00Z with other values, which is kept: "
        "kwhConsumedAc 150.5, voltage 230",
    ),
    ("/v1/ingest", "device_forbidden", "this key may not send readings of meter 'M001'"),
    ("/v1/ingest", "value_out_of_range", _RANGE_DETAIL),
    ("/v1/analytics", "window_invalid", "start 2026-02-08T18:00:00Z must lie before end 2026-02-08T17:00:00Z"),
    ("/v1/alerts", "alert_unknown", "there is no alert '17'"),
    ("/v1/links", "link_conflict", "meterId M001 feeds vehicleId V002 from 2026-01-12T07:00:00Z until further notice"),
    ("/v1/devices", "exchange_conflict", "another exchange is declared for 2026-02-08T12:00:00Z, which is kept"),
    ("/v1/(status|devices|history)/meter", "meter_unknown", "meter M001 has not sent a reading"),
    ("/health", "schema_behind", "the schema is at 0021_standbys, this service needs 0022_bi_sessions: migrate"),
    ("", "body_malformed", "the body is not JSON: JSON is malformed: expected ':' (byte 12)"),
    ("", "unauthorized", "send a live API key, as Authorization: Bearer <keyId>.<secret>"),
    ("", "forbidden", "a key of scope device may not GET here"),
    ("", "vehicle_unknown", "vehicle V001 has not sent a reading"),
    ("", "body_too_large", "the body is longer than 4194304 bytes (ENERGY_MAX_BODY_BYTES)"),
    ("", "media_type_unsupported", "send it as Content-Type: application/json"),
    ("", "parameter_invalid", "there is no query parameter 'limits' here, only limit"),
    ("", "too_many_requests", "this key sends more than 50 requests a second (ENERGY_DEVICE_RATE)"),
    ("", "database_unavailable", "the database cannot answer now, please retry"),
)
"""Pattern of a path, code and detail: the first that fits a path and a status is the example there."""
