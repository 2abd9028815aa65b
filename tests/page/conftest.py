"""A browser, and pages of a server with scripted PVs. A page with an error fails its test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.page.fake_server import FakeServer

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT = 15_000.0  # ms, of everything that is waited for
expect.set_options(timeout=TIMEOUT)


# Not of the session: while it runs, no other test of the process could call asyncio.run.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} (Debian package chromium) is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield running
    running.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeServer]]:
    """Starts servers: ``serve(main=panel(...))`` has the panel opi/main.bob."""
    servers: list[FakeServer] = []

    def start(**panels: str | bytes) -> FakeServer:
        server = FakeServer({f"{name}.bob": body for name, body in panels.items()}).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a panel in a fresh context; at the end nothing may have gone wrong but what ``faults`` allows.

    ``script`` runs before those of the page.
    """
    opened: list[tuple[Page, list[str], tuple[str, ...]]] = []

    def go(
        server: FakeServer, address: str = "main", *, faults: tuple[str, ...] = (), script: str = "", **context: Any
    ) -> Page:
        page = browser.new_context(viewport={"width": 1000, "height": 720}, **context).new_page()
        page.set_default_timeout(TIMEOUT)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        opened.append((page, errors, faults))
        if script:
            page.add_init_script(script)
        page.goto(server.url(address))
        return page

    yield go
    wrong: list[str] = []
    for page, errors, faults in opened:
        collected = page.evaluate("window.__errors")
        page.context.close()
        wrong += errors
        texts = [f"{each['where']}: {each['message']}" for each in collected]
        wrong += [text for text in texts if not any(fault in text for fault in faults)]
    assert wrong == []
