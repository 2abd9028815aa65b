"""The log from the web server: its newest entries, live ones, for pages of this server only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from servers.web import log as web_log
from servers.web.server import WebConfig, application

NOON_S = 1_795_262_400
PVA = {"EPICS_PVA_ADDR_LIST": "127.0.0.1", "EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVA_BROADCAST_PORT": "1"}
DEADLINE_S = 10.0
Client = TestClient[Any, Any]


def line(second: float, text: str, level: str = "INFO") -> str:
    moment = datetime.fromtimestamp(NOON_S + second, UTC).isoformat(timespec="milliseconds")
    return f"{moment} {level} diptych.cryo/cryocon/1: {text}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cryocon.log").write_text("".join(line(n, f"step {n}") for n in range(300)) + line(300, "hot", "ERROR"))
    write = {"time": "2026-11-21T12:03:00+00:00", "claimed_user": "anna", "peer": "10.1.2.3:5", "pv": "C:S"}
    (tmp_path / "audit.jsonl").write_text(json.dumps(write | {"old": 80.5, "new": 77.25, "result": "done"}) + "\n")
    return tmp_path


def asked(folder: Path | None, work: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        config = WebConfig("site", PVA, [], Path(__file__).parent, log=folder)
        async with TestClient(TestServer(application(config))) as client:
            await work(client)

    asyncio.run(asyncio.wait_for(run(), 60.0))


async def hear(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    message: dict[str, Any] = await asyncio.wait_for(socket.receive_json(), DEADLINE_S)
    return message


async def hear_texts(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        found += [entry["text"] for entry in (await hear(socket))["entries"]]
    return found


def test_the_newest_entries_first(folder: Path) -> None:
    async def work(client: Client) -> None:
        body = await (await client.get("/log?count=3")).json()
        assert [entry["text"] for entry in body["entries"]] == ["hot", "step 299", "step 298"]
        hot = body["entries"][0]
        assert (hot["time"], hot["server"], hot["level"]) == (NOON_S + 300, "cryocon", "ERROR")
        assert hot["source"] == "cryo/cryocon/1"
        assert (body["complete"], body["servers"]) == (True, ["audit", "cryocon"])
        writes = (await (await client.get("/log?who=anna")).json())["entries"]
        assert [(each["write"]["pv"], each["write"]["old"], each["write"]["value"]) for each in writes] == [
            ("C:S", "80.5", "77.25")
        ]

    asked(folder, work)


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("level=loud", 400, "level = 'loud' is none of DEBUG, INFO"),
        ("count=5001", 400, "count = 5001 is outside [1, 5000]"),
        ("since=lunch", 400, "'lunch' is not a moment"),
        ("path=/etc/passwd", 400, "'path' is none of"),
    ],
)
def test_what_cannot_be_answered(folder: Path, query: str, status: int, text: str) -> None:
    async def work(client: Client) -> None:
        for path in ("/log", "/log/live"):
            answer = await client.get(f"{path}?{query}")
            assert answer.status == status
            assert text in await answer.text()

    asked(folder, work)


def test_pages_of_other_sites_learn_nothing(folder: Path) -> None:
    async def work(client: Client) -> None:
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            assert (await client.get("/log", headers=headers)).status == 403
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await client.ws_connect("/log/live", headers=headers)
        own = {"Origin": f"http://127.0.0.1:{client.port}"}
        assert (await client.get("/log", headers=own)).status == 200
        await (await client.ws_connect("/log/live", headers=own)).close()

    asked(folder, work)


def test_a_server_without_a_log_says_so(folder: Path) -> None:
    async def work(client: Client) -> None:
        answer = await client.get("/log")
        assert answer.status == 404
        assert "not told where the log is" in await answer.text()

    asked(None, work)


def test_a_page_that_follows_gets_the_past_and_then_what_comes(folder: Path) -> None:
    async def work(client: Client) -> None:
        everything = await client.ws_connect("/log/live?count=2")
        errors = await client.ws_connect("/log/live?level=ERROR")
        assert (await hear(everything))["servers"] == ["audit", "cryocon"]
        assert await hear_texts(everything, 2) == ["step 299", "hot"]
        assert (await hear(errors))["type"] == "begin"
        assert await hear_texts(errors, 1) == ["hot"]
        (folder / "mirror.log").write_text(line(301, "serves") + line(302, "lost", "ERROR"))
        with (folder / "cryocon.log").open("a") as file:
            file.write(line(303, "cold", "CRITICAL") + "  very\n")
        texts = await hear_texts(everything, 3)
        # In the order of their times when one look finds both files changed.
        assert sorted(texts) == ["cold\nvery", "lost", "serves"] and texts.index("serves") < texts.index("lost")
        assert sorted(await hear_texts(errors, 2)) == ["cold\nvery", "lost"]
        await everything.send_str('{"type": "echo", "n": 3}')
        assert await hear(everything) == {"type": "echo", "n": 3}
        await everything.send_str("no JSON")
        await errors.close()
        with (folder / "cryocon.log").open("a") as file:
            file.write(line(304, "on"))
        assert await hear_texts(everything, 1) == ["on"]

    asked(folder, work)


def test_nobody_misses_anything_between_the_last_page_and_the_next(folder: Path) -> None:
    async def work(client: Client) -> None:
        for n in range(3):
            socket = await client.ws_connect("/log/live?count=1")
            await hear(socket)
            assert await hear_texts(socket, 1) == ["hot" if n == 0 else f"after {n - 1}"]
            with (folder / "cryocon.log").open("a") as file:
                file.write(line(400 + n, f"after {n}"))
            assert await hear_texts(socket, 1) == [f"after {n}"]
            await socket.close()

    asked(folder, work)


def test_a_page_that_is_flooded_gets_the_newest_and_how_many_were_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(client: Client) -> None:
        socket = await client.ws_connect("/log/live?count=1")
        await hear(socket)
        await hear_texts(socket, 1)
        with (folder / "cryocon.log").open("a") as file:
            file.write("".join(line(500 + n, f"flood {n}") for n in range(3 * web_log.MAX_WAITING)))
        found, left_out = [], 0
        while not found or found[-1] != f"flood {3 * web_log.MAX_WAITING - 1}":
            message = await hear(socket)
            found += [entry["text"] for entry in message["entries"]]
            left_out += message["left_out"]
        assert len(found) + left_out == 3 * web_log.MAX_WAITING
        assert left_out > 0

    asked(folder, work)
