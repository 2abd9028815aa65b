"""/metrics of a facility that runs, as Prometheus reads it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from servers.web.server import WebConfig, application
from tests.facility.running import wait_for
from tests.web.page_socket import Site, connected, run

PVA = {"EPICS_PVA_ADDR_LIST": "127.0.0.1", "EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVA_BROADCAST_PORT": "1"}


def values(text: str) -> dict[str, float]:
    """Name and labels -> value."""
    return {
        f"{sample.name} {json.dumps(sample.labels, sort_keys=True)}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(site: Site) -> dict[str, float]:
    with urlopen(Request(f"{site.address}/metrics"), timeout=10.0) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return values(answer.read().decode())


def of(process: str) -> str:
    return json.dumps({"process": process})


def test_every_process_and_the_mirrors_counters(site: Site) -> None:
    found = scraped(site)
    for process in ("facility", "database", "all", "mirror", "web"):
        assert found[f"diptych_process_up {of(process)}"] == 1
        assert found[f"diptych_process_resident_memory_bytes {of(process)}"] > 10e6
    assert found[f"diptych_process_heartbeat_age_seconds {of('web')}"] < 10
    mirror = json.dumps({"prefix": "MIRROR1:"})
    wait_for(lambda: scraped(site).get(f"diptych_mirror_pvs {mirror}", 0) > 10, 20.0, "the mirror counts its PVs")
    assert scraped(site)[f"diptych_mirror_up {mirror}"] == 1
    assert not [name for name in found if name.startswith("diptych_alarms")], "this facility has no alarm device"


def test_a_write_is_counted(site: Site) -> None:
    puts = f"diptych_mirror_puts_total {json.dumps({'prefix': 'MIRROR1:'})}"
    wait_for(lambda: puts in scraped(site), 20.0, "the mirror's counters")
    before = scraped(site)[puts]

    async def work() -> None:
        async with connected(site, "ALL1:Gain") as page:
            assert (await page.write("ALL1:Gain", 2.5))["ok"]

    run(work())
    wait_for(lambda: scraped(site)[puts] > before, 20.0, "the write is counted")


def asked(config: WebConfig, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    async def ask() -> tuple[int, str]:
        client: TestClient[Any, Any]
        async with TestClient(TestServer(application(config))) as client:
            answer = await client.get(path, headers=headers)
            return answer.status, await answer.text()

    return asyncio.run(asyncio.wait_for(ask(), 30.0))


def test_a_mirror_that_is_away_is_down_and_the_answer_comes_all_the_same(tmp_path: Path) -> None:
    status, text = asked(WebConfig('the "site"', PVA, ["GONE1:"], tmp_path, alarms="GONE2:", state_dir=tmp_path))
    found = values(text)
    assert status == 200
    assert found['diptych_mirror_up {"prefix": "GONE1:"}'] == 0
    assert found['diptych_alarms_up {"prefix": "GONE2:"}'] == 0
    assert not [name for name in found if "process" in name or "_pvs" in name]
    assert any(name.startswith("diptych_info") and 'the \\"site\\"' in name for name in found)


def test_pages_of_other_sites_learn_nothing(tmp_path: Path) -> None:
    assert asked(WebConfig("site", PVA, [], tmp_path), Host="evil.example")[0] == 403
