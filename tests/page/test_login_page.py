"""Logging in and out with a browser: over TLS, with the panel of the address kept, in a light and a dark room."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from servers.web.server import WebConfig
from tests.page.fake_server import FakeServer
from tests.page.panel_text import panel, widget
from tests.web.login_server import (
    PASSWORDS,
    ROLES,
    TOKEN,
    LoginServer,
    config_of,
    serving,
    write_certificate,
    write_files,
)

WEB = {"users": "users", "tokens": "tokens", "roles": ROLES, "certificate": "lab.crt", "key": "lab.key"}


class Running:
    """A server with logins and TLS, in a thread of its own."""

    def __init__(self, config: WebConfig) -> None:
        self._config = config
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: Future[LoginServer] = Future()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        self.server = self._started.result(20.0)
        self.address = self.server.address

    async def _run(self) -> None:
        try:
            async with serving(self._config) as server:
                self._started.set_result(server)
                await self._stop.wait()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10.0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts the server, with other settings than usual."""
    running: list[Running] = []
    write_files(tmp_path)
    write_certificate(tmp_path)

    def begin(**changes: Any) -> Running:
        config = config_of(tmp_path, {**WEB, **changes})
        for name in ("overview", "cold"):
            (tmp_path / "opi" / f"{name}.bob").write_text(panel(name=name))
        running.append(Running(config))
        return running[-1]

    yield begin
    for each in running:
        each.end()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1000, "height": 720})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert errors == []


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").first.click()


def test_a_person_logs_in_sees_the_panel_of_the_address_and_logs_out(start: Callable[..., Running], page: Page) -> None:
    server = start()
    page.goto(f"{server.address}/#/cold?N=1")
    expect(page).to_have_url(f"{server.address}/login#/cold?N=1")
    log_in(page, "anna", "a wrong one")
    expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    expect(page.get_by_label("Name")).to_have_value("anna")
    log_in(page, "anna", PASSWORDS["anna"])
    expect(page).to_have_url(f"{server.address}/#/cold?N=1")
    expect(page.locator(".head .person .name")).to_have_text("anna")
    expect(page.locator(".head .person .role")).to_have_text("operate")
    expect(page.locator(".head .link-state")).to_have_text("connected")
    assert page.evaluate("document.cookie") == "", "no script of the page can read it"
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(server.address)
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_page_that_is_left_alone_goes_back_to_the_form(start: Callable[..., Running], page: Page) -> None:
    server = start(session={"idle": "1 s"})
    page.goto(f"{server.address}/#/cold")
    log_in(page, "bert", PASSWORDS["bert"])
    expect(page.locator(".head .link-state")).to_have_text("view only")
    expect(page).to_have_url(f"{server.address}/login#/cold")


def test_the_other_tab_notices_that_one_has_logged_out(start: Callable[..., Running], page: Page) -> None:
    server = start()
    page.goto(server.address)
    log_in(page, "anna", PASSWORDS["anna"])
    expect(page.locator(".head .person .name")).to_have_text("anna")
    other = page.context.new_page()
    other.goto(server.address)
    other.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_display_comes_in_by_the_token_behind_the_address(start: Callable[..., Running], page: Page) -> None:
    server = start(roles={})
    page.goto(f"{server.address}/login#token={TOKEN}")
    expect(page.locator(".head .person .name")).to_have_text("wall")
    assert TOKEN not in page.url
    assert TOKEN not in page.evaluate("JSON.stringify(history.state) + location.href")


def test_a_visitor_may_look_and_is_offered_the_form(start: Callable[..., Running], page: Page) -> None:
    server = start(anonymous="view")
    page.goto(server.address)
    expect(page.locator(".head .link-state")).to_have_text("view only")
    page.get_by_role("link", name="Log in").click()
    log_in(page, "carl", PASSWORDS["carl"])
    expect(page.locator(".head .person .role")).to_have_text("expert")


def test_the_form_works_without_scripts_and_is_dark_in_the_dark(
    start: Callable[..., Running], browser: Browser
) -> None:
    server = start()
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(server.address)
    ground = page.locator("body")
    expect(ground).to_have_css("background-color", "rgb(38, 41, 44)")
    log_in(page, "anna", PASSWORDS["anna"])
    expect(page).to_have_url(f"{server.address}/")
    context.close()


def test_what_the_role_may_not_write_looks_so_and_says_why(
    serve: Callable[..., FakeServer], visit: Callable[..., Page]
) -> None:
    server = serve(main=panel(widget("textentry", 10, 10, 150, 30, pv_name="SP")))
    server.hello = {**server.hello, "person": {"name": "anna", "role": "operate"}}
    server.put("SP", vtype="VDouble", value=2.5, readonly=True)
    page = visit(server)
    expect(page.locator(".head .person .name")).to_have_text("anna")
    entry = page.get_by_role("textbox")
    expect(entry).to_have_attribute("readonly", "")
    entry.hover()
    expect(page.locator("#tooltip")).to_contain_text("cannot be written with the role operate")
