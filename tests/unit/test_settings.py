"""A secret comes from its variable, or from the file that NAME_FILE names."""

import re
from pathlib import Path

import pytest

from service.commands.doctor import examine
from service.errors import StartupError
from service.settings import load_settings, read_secret
from tests.commands.test_cli import assert_one_plain_line, run

URL = "postgresql://energy_app:secret@db/energy"


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_READ_URL"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_url_may_lie_in_a_file(tmp_path: Path, name: str, end: str) -> None:
    file = tmp_path / "url"
    file.write_bytes(URL.encode() + end.encode())
    others = {} if name == "DATABASE_URL" else {"DATABASE_URL": "postgresql://primary/energy"}
    settings = load_settings({f"{name}_FILE": str(file), **others})
    assert getattr(settings, name.lower()) == URL


def test_a_password_in_a_file_keeps_everything_but_its_last_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" with spaces \n")
    assert read_secret("ENERGY_SERVICE_PASSWORD", {"ENERGY_SERVICE_PASSWORD_FILE": str(file)}) == " with spaces "


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    assert load_settings({"DATABASE_URL": "", "DATABASE_URL_FILE": str(tmp_path / "url")}).database_url == URL
    assert load_settings({"DATABASE_URL": URL, "DATABASE_URL_FILE": ""}).database_url == URL
    assert load_settings({"DATABASE_URL": "", "DATABASE_URL_FILE": ""}).database_url is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read (No such file"), (b"", "empty"), (b" \n", "empty"), (b"\xff\xfe", "not a UTF-8 text")],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "ENERGY_ALERTMANAGER_URL", "ENERGY_BI_PASSWORD"])
def test_a_file_that_gives_no_secret_is_named(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartupError, match=re.escape(reason)) as raised:
        read_secret(name, {f"{name}_FILE": str(file)})
    assert f"{name}_FILE is {str(file)!r}" in str(raised.value)


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    with pytest.raises(StartupError, match="DATABASE_URL and DATABASE_URL_FILE are both set") as raised:
        load_settings({"DATABASE_URL": URL, "DATABASE_URL_FILE": str(tmp_path / "url")})
    assert "secret" not in str(raised.value)


def test_a_url_in_a_file_that_is_none_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("mysql://root:hidden@db/energy")
    with pytest.raises(StartupError, match="DATABASE_URL must look like") as raised:
        load_settings({"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("login", ["service", "bi", "dba", "archive"])
def test_the_passwords_of_logins_are_read_from_files(tmp_path: Path, login: str) -> None:
    file = tmp_path / "missing"
    variable = f"ENERGY_{login.upper()}_PASSWORD"
    result = run("migrate", f"--{login}-login", "someone", DATABASE_URL=URL, **{f"{variable}_FILE": str(file)})
    assert_one_plain_line(result, f"{variable}_FILE", str(file))


def test_several_alertmanagers_are_given_with_commas_and_may_lie_in_a_file(tmp_path: Path) -> None:
    urls = "http://am1:9093, https://user:p%40ss@am2.example/alertmanager"
    (tmp_path / "urls").write_text(urls)
    expected = ("http://am1:9093", "https://user:p%40ss@am2.example/alertmanager")
    assert load_settings({"ENERGY_ALERTMANAGER_URL": urls}).alertmanager_url == expected
    assert load_settings({"ENERGY_ALERTMANAGER_URL_FILE": str(tmp_path / "urls")}).alertmanager_url == expected


@pytest.mark.parametrize("url", ["am1:9093", "ftp://am1", "http://u:hidden@am1:9093?x", "http://u:hid@den@am1"])
def test_an_alertmanager_that_is_none_is_not_repeated_as_it_may_have_a_password(url: str) -> None:
    with pytest.raises(StartupError, match="ENERGY_ALERTMANAGER_URL must look like http://alertmanager:9093") as raised:
        load_settings({"ENERGY_ALERTMANAGER_URL": f"http://am0:9093,{url}"})
    assert "hid" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ENERGY_PUBLIC_URL": "energy.example"}, "ENERGY_PUBLIC_URL must look like https://energy.example"),
        ({"ENERGY_PUBLIC_URL": "https://u:p@energy.example"}, "ENERGY_PUBLIC_URL must look like"),
        ({"ENERGY_PUBLIC_URL": "https://energy.example/#x"}, "ENERGY_PUBLIC_URL must look like"),
        ({"ENERGY_WEBHOOK_PRIVATE": "yes"}, "ENERGY_WEBHOOK_PRIVATE must be one of off, on"),
    ],
    ids=str,
)
def test_a_setting_of_the_delivery_that_makes_no_sense_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(StartupError, match=words):
        load_settings(given)


def test_the_public_url_has_no_slash_at_its_end() -> None:
    assert (
        load_settings({"ENERGY_PUBLIC_URL": "https://energy.example/fleet/"}).public_url
        == "https://energy.example/fleet"
    )


def test_no_password_of_several_alertmanagers_is_printed(tmp_path: Path) -> None:
    urls = "http://one:first@am1:9093,http://two:second@am2:9093"
    settings = load_settings({"ENERGY_ALERTMANAGER_URL": urls, "ENERGY_DATA_DIR": str(tmp_path / "none")})
    [line] = [value for _, value in examine(settings)[0] if value.startswith("ENERGY_ALERTMANAGER_URL=")]
    assert line == "ENERGY_ALERTMANAGER_URL=http://one:***@am1:9093, http://two:***@am2:9093"
