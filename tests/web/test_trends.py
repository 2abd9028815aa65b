"""Trends from the web server: what the history has, for pages of this server only, and why not when it has nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from servers.history.sqlite_history import SqliteHistory
from servers.history.sqlite_store import SqliteStore
from servers.history.store import NANOSECONDS, Facts, Sample, new_batch
from servers.web.server import WebConfig, application
from servers.web.trends import OpenHistory

NOON_S = 1_795_262_400
SAMPLE, VALVE = "CRYO1:TemperatureA", "GAS1:Valve"
PVA = {
    "EPICS_PVA_ADDR_LIST": "127.0.0.1",
    "EPICS_PVA_AUTO_ADDR_LIST": "NO",
    "EPICS_PVA_BROADCAST_PORT": "1",
}
Client = TestClient[Any, Any]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cooling from 300 K by 0.1 K/s for 1000 s, lost at 500 s for 20 s; a valve that opened once."""
    path = tmp_path_factory.mktemp("trends") / "history.sqlite"
    with closing(SqliteStore(path)) as store:
        rows = [
            Sample(SAMPLE, (NOON_S + n) * NANOSECONDS, 300 - 0.1 * n, 2 if n >= 900 else 0)
            for n in range(1000)
            if not 500 <= n < 520
        ]
        rows.insert(500, Sample(SAMPLE, (NOON_S + 500) * NANOSECONDS, 250.1, 3, is_connected=False))
        rows += [Sample(VALVE, (NOON_S + 7) * NANOSECONDS, 0), Sample(VALVE, (NOON_S + 70) * NANOSECONDS, 1)]
        store.write(new_batch(rows, NOON_S + 1000))
        store.describe({SAMPLE: Facts(unit="K"), VALVE: Facts("enum", labels=("shut", "open"))}, {})
    yield path


def asked(open_history: OpenHistory | None, folder: Path, work: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        config = WebConfig("site", PVA, [], folder, history=open_history)
        async with TestClient(TestServer(application(config))) as client:
            await work(client)

    asyncio.run(run())


def test_every_sample_where_there_are_few(file: Path) -> None:
    async def work(client: Client) -> None:
        answer = await client.get(f"/hist?pv={SAMPLE}&pv={VALVE}&from={NOON_S}&to={NOON_S + 100}")
        assert answer.status == 200
        body = await answer.json()
        assert (body["from"], body["to"]) == (NOON_S, NOON_S + 100)
        cooling, valve = body["trends"]
        assert (cooling["pv"], cooling["unit"], cooling["width"]) == (SAMPLE, "K", 0)
        assert cooling["time"] == [NOON_S + n for n in range(101)]
        assert cooling["last"][100] == pytest.approx(290.0)
        assert (valve["labels"], valve["last"]) == (["shut", "open"], [0, 1])

    asked(lambda: SqliteHistory(file), file.parent, work)


def test_true_extremes_where_there_are_many_and_nothing_where_nobody_knew(file: Path) -> None:
    async def work(client: Client) -> None:
        answer = await client.get(f"/hist?pv={SAMPLE}&from={NOON_S}&to={NOON_S + 1000}&points=100")
        trend = (await answer.json())["trends"][0]
        assert trend["width"] == 10
        assert len(trend["time"]) <= 102
        first = trend["time"].index(NOON_S + 10)
        assert (trend["low"][first], trend["high"][first]) == (pytest.approx(298.1), pytest.approx(299.0))
        assert trend["mean"][first] == pytest.approx(298.55)
        lost = trend["time"].index(NOON_S + 500)
        assert (trend["last"][lost], trend["low"][lost], trend["connected"][lost]) == (None, None, False)
        assert trend["severity"][trend["time"].index(NOON_S + 950)] == 2

    asked(lambda: SqliteHistory(file), file.parent, work)


def test_a_negative_beginning_counts_back_from_the_end(file: Path) -> None:
    async def work(client: Client) -> None:
        body = await (await client.get(f"/hist?pv={VALVE}&from=-30&to={NOON_S + 80}")).json()
        assert (body["from"], body["to"]) == (NOON_S + 50, NOON_S + 80)
        assert body["trends"][0]["time"] == [NOON_S + 7, NOON_S + 70], "and the value that held before"
        assert (await (await client.get(f"/hist?pv={VALVE}")).json())["trends"][0]["last"] == [1]

    asked(lambda: SqliteHistory(file), file.parent, work)


def test_a_table_for_other_programs(file: Path) -> None:
    async def work(client: Client) -> None:
        answer = await client.get(f"/hist/export.csv?pv={VALVE}&from={NOON_S}&to={NOON_S + 100}")
        assert "attachment" in answer.headers["Content-Disposition"]
        lines = (await answer.text()).splitlines()
        assert lines[0].startswith("pv,time,value,text")
        assert [line.split(",")[:4] for line in lines[1:]] == [
            [VALVE, "2026-11-21T12:00:07.000000Z", "0.0", "shut"],
            [VALVE, "2026-11-21T12:01:10.000000Z", "1.0", "open"],
        ]
        assert await (await client.get("/hist/pvs")).json() == {SAMPLE: "K", VALVE: ""}

    asked(lambda: SqliteHistory(file), file.parent, work)


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "0 PVs are asked for"),
        ("&".join(f"pv=A:{n}" for n in range(17)), 400, "17 PVs are asked for; 1 to 16"),
        ("pv=CRYO1:TemperatureB", 404, "did you mean CRYO1:TemperatureA?"),
        (f"pv={VALVE}&from=5&to=4", 400, "from = 5 s, to = 4 s"),
        (f"pv={VALVE}&from=noon", 400, "from = 'noon' is not a number of seconds"),
        (f"pv={VALVE}&to=inf", 400, "to = 'inf'"),
        (f"pv={VALVE}&to=1e300", 400, "to <= 9e+09"),
        (f"pv={VALVE}&points=0", 400, "points = 0 is outside [1, 10000]"),
        (f"pv={VALVE}&points=20000", 400, "points = 20000 is outside [1, 10000]"),
        (f"pv={VALVE}&points=1.5", 400, "points = '1.5' is not a whole number"),
    ],
)
def test_what_cannot_be_answered(file: Path, query: str, status: int, text: str) -> None:
    async def work(client: Client) -> None:
        answer = await client.get(f"/hist?{query}")
        assert answer.status == status
        assert text in await answer.text()

    asked(lambda: SqliteHistory(file), file.parent, work)


def test_pages_of_other_sites_learn_nothing(file: Path) -> None:
    async def work(client: Client) -> None:
        for path in ("/hist?pv=GAS1:Valve", "/hist/pvs", "/hist/export.csv?pv=GAS1:Valve"):
            for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
                assert (await client.get(path, headers=headers)).status == 403
            own = {"Origin": f"http://127.0.0.1:{client.port}"}
            assert (await client.get(path, headers=own)).status == 200

    asked(lambda: SqliteHistory(file), file.parent, work)


def test_a_facility_without_a_history_says_so(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        answer = await client.get("/hist?pv=A")
        assert answer.status == 404
        assert "keeps no history" in await answer.text()

    asked(None, tmp_path, work)


def test_a_history_that_is_away_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"

    async def work(client: Client) -> None:
        answer = await client.get("/hist?pv=A:B")
        assert answer.status == 503
        assert "the history is away" in await answer.text()
        with closing(SqliteStore(path)) as store:
            rows = [Sample("A:B", NOON_S * NANOSECONDS, 1.5), Sample("A:B", (NOON_S + 1) * NANOSECONDS, math.inf)]
            store.write(new_batch(rows, NOON_S))
            body = await (await client.get(f"/hist?pv=A:B&from={NOON_S}&to={NOON_S + 5}")).json()
        assert body["trends"][0]["last"] == [1.5, None]

    asked(lambda: SqliteHistory(path), tmp_path, work)
