"""One facility with a mirror and panels for the tests of the web server, and a socket of a page to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.facility.running import Up
from tests.support.demo_facility import free_offset
from tests.support.shared import end_with
from tests.web.page_socket import Site, connected, run

CLASSES = {"Everything": "tests.support.everything:Everything", "EpicsMirror": "servers.epics.device:EpicsMirror"}
MIRROR = {
    "pv_prefix": ["MIRROR1:"],
    "channel_access": ["@ca"],
    "ca_repeater": ["@ca_repeater"],
    "pv_access": ["@pva"],
    "pva_broadcast": ["@pva_broadcast"],
    "audit_file": ["@state/log/audit.jsonl"],
}
SERVERS = {
    "all": {"Everything": {"test/all/1": {"properties": {"pv_prefix": ["ALL1:"]}}}},
    "mirror": {"EpicsMirror": {"mirror/epics/1": {"properties": MIRROR}}},
}
PANEL = '<?xml version="1.0" encoding="UTF-8"?>\n<display version="2.0.0">\n  <name>Tiny</name>\n</display>\n'


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("web")
    (folder / "opi").mkdir()
    (folder / "opi" / "tiny.bob").write_text(PANEL)
    (folder / "secret.bob").write_text("no panel of ours")
    (folder / "opi" / "link.bob").symlink_to(folder / "secret.bob")
    (folder / "opi" / "notes.txt").write_text("not for browsers")
    path = folder / "web.json"
    path.write_text(json.dumps({"servers": {"Diptych": SERVERS}}))
    extra = {"classes": CLASSES, "mirrors": ["mirror"], "start_order": ["all", "mirror"], "panels": "opi"}
    path.with_suffix(".facility.yaml").write_text(json.dumps(extra))
    offset = free_offset()
    up = Up(path, folder / "state", "--port-offset", str(offset))
    end_with(Path(__file__).parent, up.end)
    up.wait_ready()
    found = Site(up, 8080 + offset, f"127.0.0.1:{10000 + offset}")
    run(_writable(found))
    yield found


async def _writable(site: Site) -> None:
    """Wait until the web server knows which PVs there are; it may ask before the mirror has them."""
    async with connected(site, "ALL1:Gain") as page:
        await page.until("ALL1:Gain", lambda update: update.get("readonly") is False)


@pytest.fixture
def panels_folder(site: Site) -> Path:
    return site.up.state_dir.parent / "opi"
