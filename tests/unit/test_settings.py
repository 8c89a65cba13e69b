"""A secret comes from its variable, or from the file that NAME_FILE names."""

import re
from pathlib import Path

import pytest

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
@pytest.mark.parametrize("name", ["DATABASE_URL", "ENERGY_BI_PASSWORD"])
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
