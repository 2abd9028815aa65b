"""Passwords, tokens, secrets and signatures: used in earnest over real sockets, and found in no log and no audit."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from servers.alpaca.settings import AlpacaSettings
from servers.azcam.connection import Connection
from servers.azcam.settings import AzcamSettings
from servers.daqdata.service import ServiceSettings
from servers.ingest.settings import IngestSettings
from servers.leash.curve_keys import make_keys, read_server_keys
from servers.leash.endpoint import Endpoint
from tests.leash.detector import SECRET, entry, running_leash
from tests.leash.raw_client import exchange, signed
from tests.web.login_server import PASSWORDS, ROLES, TOKEN, LoginServer, config_of, with_server, write_files

WRONG = "wrong-but-perhaps-of-another-account"


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def demand_clean(caplog: pytest.LogCaptureFixture, folder: Path, *secrets: str) -> None:
    """No secret in the log, in whatever was written below a folder by the server, or in a traceback."""
    written = [caplog.text, *(file.read_text(errors="replace") for file in folder.rglob("*.jsonl"))]
    for secret in secrets:
        assert not any(secret in text for text in written), secret


def test_passwords_and_tokens_of_the_panels_are_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_files(tmp_path)

    async def work(server: LoginServer) -> None:
        assert (await server.log_in("anna", WRONG))[0] != 303
        assert (await server.get("/", Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert (await server.get("/", Authorization=f"Bearer {WRONG}{'x' * 20}"))[0] == 401
        assert (await server.log_in("anna"))[0] in (200, 302, 303)
        cookies = [cookie.value for cookie in server.cookies().values()]
        assert cookies and all(cookies)
        assert any(line.get("person") == "anna" or "anna" in json.dumps(line) for line in server.audit())
        demand_clean(caplog, tmp_path, *PASSWORDS.values(), WRONG, TOKEN, *cookies)

    with_server(config_of(tmp_path, {"users": "users", "tokens": "tokens", "roles": ROLES}), work)


def test_the_secret_of_a_leash_and_its_signatures_are_in_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "img").mkdir()
    good, bad = signed(SECRET, "stat"), signed(WRONG, "abort")
    with running_leash(tmp_path) as leash:
        assert "Error" not in exchange(leash.url, [json.dumps(good).encode()])["data"]
        assert exchange(leash.url, [json.dumps(bad).encode()])["result"] == "AuthenticationError"
        again = exchange(leash.url, [json.dumps(good).encode()])
        assert again["result"] == "AuthenticationError"
        assert good["sign"] not in json.dumps(again)
    assert "AuthenticationError" in caplog.text
    demand_clean(caplog, tmp_path, SECRET, WRONG, good["sign"], bad["sign"])
    assert SECRET not in repr(entry())


def test_keys_of_an_encrypted_leash_are_in_no_repr(tmp_path: Path) -> None:
    network = tmp_path / "network"
    make_keys("saxs", Endpoint("127.0.0.1", 9724), network)
    found = read_server_keys("saxs", network)
    assert found is not None
    assert found.secret not in repr(found)


class _Wire:
    """The other end of a connection; takes what is said."""

    said = b""
    is_over = False

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1)

    def write(self, data: bytes) -> None:
        self.said += data

    def close(self) -> None:
        self.is_over = True

    def is_closing(self) -> bool:
        return self.is_over

    def pause_reading(self) -> None: ...

    is_reading, resume_reading = is_closing, pause_reading


def test_the_token_of_a_native_service_is_in_no_log_and_in_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Commands:
        class parameters:
            logs_commands = True

        def line(self, line: str) -> str:
            return "OK"

    async def talk(token: str) -> bytes:
        wire: Any = _Wire()
        connection = Connection(None, Commands(), AzcamSettings(token=TOKEN))  # type: ignore[arg-type]
        connection._transport = wire
        connection.data_received(f"token {token}\n".encode())
        return bytes(wire.said)

    assert asyncio.run(talk(TOKEN)) == b"OK\r\n"
    assert b"not the token" in asyncio.run(talk(WRONG))
    assert "wrong token" in caplog.text
    demand_clean(caplog, tmp_path, TOKEN, WRONG)


@pytest.mark.parametrize(
    "settings",
    [
        AlpacaSettings(token=TOKEN),
        AzcamSettings(token=TOKEN),
        IngestSettings(token=TOKEN),
        ServiceSettings(("127.0.0.1:1",), token=TOKEN, key=TOKEN.encode()),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_settings_that_are_printed_leave_the_token_out(settings: object) -> None:
    assert TOKEN not in repr(settings)
