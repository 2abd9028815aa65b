"""The web server: its files and nothing else, and no foreign page at its sockets."""

from __future__ import annotations

import os
import signal
from typing import Any

import aiohttp
import pytest

from servers.web.origin import is_own_host, is_own_page
from tests.facility.running import command
from tests.web.page_socket import Site, connected, run


async def fetch(site: Site, path: str, **headers: str) -> tuple[int, str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{site.address}{path}", headers=headers) as answer:
        return answer.status, await answer.text(errors="replace"), answer.headers


def test_the_page_forbids_scripts_from_elsewhere(site: Site) -> None:
    async def work() -> None:
        status, text, headers = await fetch(site, "/")
        assert status == 200
        assert "<script" in text
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"

    run(work())


def test_a_panel_is_given_out_and_asked_for_again_only_when_it_changed(site: Site) -> None:
    async def work() -> None:
        status, text, headers = await fetch(site, "/opi/tiny.bob")
        assert (status, "<name>Tiny</name>" in text) == (200, True)
        assert (await fetch(site, "/opi/tiny.bob", **{"If-None-Match": headers["Etag"]}))[0] == 304

    run(work())


@pytest.mark.parametrize(
    "path",
    [
        "/opi/missing.bob",
        "/opi/link.bob",  # leads out of the folder
        "/opi/notes.txt",
        "/opi/..%2fsecret.bob",
        "/opi/%2e%2e/secret.bob",
        "/opi/%00.bob",
        "/..%2f..%2fsetup.cfg",
        "/server.py",
        "/opi/",
    ],
)
def test_nothing_else_is_given_out(site: Site, path: str) -> None:
    async def work() -> None:
        assert (await fetch(site, path))[0] in (400, 404)

    run(work())


@pytest.mark.parametrize("path", ["/pvws/pv", "/pvws/image"])
def test_a_page_of_another_site_may_not_open_a_socket(site: Site, path: str) -> None:
    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            for headers in ({"Origin": "http://evil.example"}, {"Host": f"evil.example:{site.port}"}):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await session.ws_connect(f"{site.address}{path}", headers=headers)
                assert refused.value.status == 403
            own = {"Origin": f"http://127.0.0.1:{site.port}"}
            async with session.ws_connect(f"{site.address}{path}", headers=own) as socket:
                assert not socket.closed

    run(work())


def test_a_name_that_leads_to_loopback_is_not_loopback(site: Site) -> None:
    async def work() -> None:
        assert (await fetch(site, "/", Host=f"rebound.example:{site.port}"))[0] == 403
        assert (await fetch(site, "/", Host=f"localhost:{site.port}"))[0] == 200

    run(work())


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("localhost:8080", "http://localhost:8080", True),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("panels.example:8080", "http://panels.example:8080", True),
        ("127.0.0.1:8080", None, True),
        ("127.0.0.1:8080", "http://127.0.0.1:9090", False),
        ("127.0.0.1:8080", "null", False),
        ("other.example:8080", "http://other.example:8080", False),
        ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example", False),
        ("", None, False),
    ],
)
def test_who_may_connect(host: str, origin: str | None, allowed: bool) -> None:
    assert (is_own_host(host, ["panels.example"]) and is_own_page(host, origin, [])) is allowed
    assert is_own_host("127.5.6.7", [])


@pytest.mark.long
def test_a_killed_server_shows_as_disconnected_and_comes_back(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Gain") as page:
            before = await page.until("ALL1:Gain", lambda update: update.get("connected"))
            value = before["value"]
            os.kill(site.up.pid("all"), signal.SIGKILL)
            lost = await page.until("ALL1:Gain", lambda update: update["severity"] == "INVALID")
            assert lost["value"] == value, "the last one stays"
            await page.until("ALL1:Gain", lambda update: update["severity"] == "NONE")
            os.kill(site.up.pid("mirror"), signal.SIGKILL)
            gone = await page.until("ALL1:Gain", lambda update: update["connected"] is False)
            assert "mirror" in gone["reason"]
            await page.until("ALL1:Gain", lambda update: update["connected"] is True)

    run(work())


def test_a_facility_without_panels_says_so(tmp_path: Any) -> None:
    path = tmp_path / "bare.json"
    path.write_text('{"servers": {}}')
    refused = command("web", "--facility", path, "--state-dir", tmp_path / "state")
    assert refused.returncode == 1
    assert "names no folder of panels" in refused.stderr
