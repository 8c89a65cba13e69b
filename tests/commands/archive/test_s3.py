"""The same on a server that speaks S3."""

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from service.commands.archive.places import open_place
from service.errors import StartupError
from tests.commands.archive.conftest import DAY, OLD, Archive, archive_on

BOTH = ("--from", f"{OLD:%Y-%m-%d}", "--to", f"{OLD + 2 * DAY:%Y-%m-%d}")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("ENERGY_ARCHIVE_ENDPOINT", server),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1")
    client.create_bucket(Bucket="history")
    yield client
    for entry in client.list_objects_v2(Bucket="history").get("Contents", []):
        client.delete_object(Bucket="history", Key=entry["Key"])
    client.delete_bucket(Bucket="history")


def test_archive_verify_drop_and_restore_in_a_bucket(
    archive: Archive, bucket: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = archive.all_rows()
    with archive_on(archive.database, "s3://history/energy", monkeypatch) as s3:
        assert "archived 4 of 4 chunks, 960 rows" in s3("run", "--drop").output
        keys = {entry["Key"] for entry in bucket.list_objects_v2(Bucket="history")["Contents"]}  # type: ignore[attr-defined]
        assert f"energy/meter/day={OLD:%Y-%m-%d}/{OLD:%Y%m%d}T000000Z.parquet" in keys
        assert f"energy/manifest/vehicle/{OLD:%Y%m%d}T000000Z.json" in keys
        assert len(keys) == 8
        assert s3.chunks() == 0
        assert "verified 4 of 4" in s3("verify").output
        s3("restore", *BOTH)
        assert s3.all_rows() == before
        key = f"energy/meter/day={OLD:%Y-%m-%d}/{OLD:%Y%m%d}T000000Z.parquet"
        bucket.put_object(Bucket="history", Key=key, Body=b"PAR1")  # type: ignore[attr-defined]
        assert f"WRONG s3://history/{key}" in s3("verify", status=1).output
        bucket.delete_object(Bucket="history", Key=key)  # type: ignore[attr-defined]
        assert f"WRONG s3://history/{key} is missing" in s3("verify", status=1).output


def test_a_late_row_is_taken_into_the_archive_in_a_bucket(
    archive: Archive, bucket: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive_on(archive.database, "s3://history", monkeypatch) as s3:
        s3("run", "--drop")
        s3.connection.execute(
            "INSERT INTO telemetry.meter_telemetry_history VALUES ('Mlate', %s, %s, 5, 230)", (OLD, OLD)
        )
        assert "archived 1 of 1 chunks, 289 rows" in s3("run", "--drop").output
        s3("verify")


@pytest.mark.usefixtures("bucket")
def test_a_write_that_fails_leaves_nothing_in_the_bucket(server: str) -> None:
    place = open_place("s3://history/a", server)
    with pytest.raises(ValueError, match="half"), place.create("meter/x") as path:
        path.write_bytes(b"half a file")
        raise ValueError("half")
    assert place.names("meter") == []
    with place.create("meter/x") as path:
        path.write_bytes(b"whole")
    assert place.names("meter") == ["x"]
    place.delete("meter/x")
    place.delete("meter/x")
    assert place.names("meter") == place.names("nowhere") == []
    with pytest.raises(FileNotFoundError), place.read("meter/x"):
        pass


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_said(server: str) -> None:
    with pytest.raises(StartupError, match="there is no bucket nothing"):
        open_place("s3://nothing/energy", server)
