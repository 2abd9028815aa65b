"""What people may do by their role, with a mirror behind it: the server decides, and the audit has their names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from servers.facility.environment import facility_environment
from servers.facility.ports import Ports
from servers.web.login.person import ANYBODY, Person
from servers.web.login.sessions import Session
from servers.web.login.visitor import Visitor
from servers.web.pv_socket import PvSocket
from servers.web.server import WebConfig
from tests.web.login_server import ROLES, LoginServer, config_of, eventually, with_server, write_files
from tests.web.page_socket import PageSocket, Site

#: A writable attribute, a command of the level operator, and one of the level expert.
GAIN, ABORT, FAIL = "ALL1:Gain", "ALL1:Abort", "ALL1:Fail"
FROM = {"X-Forwarded-For": "10.1.2.3"}


@pytest.fixture
def config(site: Site, tmp_path: Path) -> WebConfig:
    write_files(tmp_path)
    environment = facility_environment(Ports(offset=site.port - 8080), "")
    pva = {name: value for name, value in environment.items() if name.startswith("EPICS_PVA_")}
    web = {"users": "users", "roles": ROLES, "behind_tls_proxy": ["127.0.0.1"]}
    return config_of(tmp_path, web, pva=pva, mirrors=["MIRROR1:"])


@asynccontextmanager
async def page_of(server: LoginServer, name: str, path: str = "pv", token: str = "") -> AsyncIterator[PageSocket]:
    """The page of a person at 10.1.2.3, who logs in first."""
    cookies = server.cookies()
    if not cookies:
        assert (await server.log_in(name, None, **FROM))[0] == 303
        cookies = server.cookies()
    # The cookie is for TLS, which ends at the proxy: aiohttp would not send it over plain HTTP.
    headers = {**FROM, "Cookie": "; ".join(f"{key}={each.value}" for key, each in cookies.items())}
    async with server.session.ws_connect(f"{server.address}/pvws/{path}", headers=headers) as socket:
        page = PageSocket(socket)
        if path == "pv":
            hello = await page.next()
            page.token = hello["token"]
            assert hello["person"] == {"name": name, "role": ROLES[name], "logout": True}
            assert hello["writable"] == (ROLES[name] != "view")
            await page.say(type="hello", protocol=1, batch=True)
        else:
            await page.say(type="hello", protocol=1, token=token)
        yield page


async def rights(page: PageSocket) -> dict[str, bool]:
    await page.say(type="subscribe", pvs=[GAIN, ABORT, FAIL, "ALL1:Level"])
    for pv in (GAIN, ABORT, FAIL):
        await page.until(pv, lambda update: "confirm" in update or update.get("connected"))
    return {pv: page.state[pv]["readonly"] for pv in (GAIN, ABORT, FAIL)}


async def known(page: PageSocket, pv: str, readonly: bool) -> None:
    """Until the server knows which PVs there are, everything is read-only."""
    await page.say(type="subscribe", pvs=[pv])
    await page.until(pv, lambda update: update.get("connected") and update["readonly"] is readonly)


def audited(path: Path, **wanted: Any) -> Mapping[str, Any] | None:
    """The last line of an audit with these keys."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return next((line for line in reversed(lines) if wanted.items() <= line.items()), None)


def test_who_may_only_look_can_write_nothing_whatever_the_page_says(config: WebConfig) -> None:
    async def work(server: LoginServer) -> None:
        async with page_of(server, "bert") as page:
            assert set((await rights(page)).values()) == {True}
            for pv in (GAIN, ABORT, FAIL):
                refused = await page.write(pv, 3.5, confirmed=True)
                assert not refused["ok"]
                needs = "expert" if pv == FAIL else "operate"
                assert refused["message"] == f"{pv}: bert has the role view, and writing it needs {needs}"
            await page.say(type="call", pv=ABORT, arguments={}, id=9, token=page.token)
            answer = await page.hear(lambda message: isinstance(message, dict) and message.get("id") == 9)
            assert "bert has the role view" in answer["message"]
            await page.say(type="call", pv="ALL1:Reverse", arguments={"text": "abc"}, id=10, token=page.token)
            answer = await page.hear(lambda message: isinstance(message, dict) and message.get("id") == 10)
            assert answer["result"] == "cba", "a command that changes nothing is for who looks, too"
        line = audited(server.config.audit_path, pv=GAIN)  # type: ignore[arg-type]
        assert line is not None
        assert (line["claimed_user"], line["peer"], line["new"]) == ("bert", "10.1.2.3:0", 3.5)
        assert line["result"].startswith("NotAllowedError: ")

    with_server(config, work)


def test_an_operator_sets_and_stops_and_an_expert_does_everything(site: Site, config: WebConfig) -> None:
    mirror_audit = site.up.state_dir / "log" / "audit.jsonl"

    async def operator(server: LoginServer) -> None:
        async with page_of(server, "anna") as page:
            await known(page, GAIN, False)
            assert await rights(page) == {GAIN: False, ABORT: False, FAIL: True}
            assert (await page.write(GAIN, 6.25))["ok"]
            assert (await page.write(ABORT, "", 2))["ok"], "stopping is never kept from who operates"
            refused = await page.write(FAIL, 1, 3, confirmed=True)
            assert refused["message"] == f"{FAIL}: anna has the role operate, and writing it needs expert"
            await page.say(type="call", pv=ABORT, arguments={"id": ""}, id=4, token=page.token)
            answer = await page.hear(lambda message: isinstance(message, dict) and message.get("id") == 4)
            assert answer["ok"], answer

        async def both_named() -> bool:
            lines = [audited(mirror_audit, claimed_user="anna", pv=pv, result="done") for pv in (GAIN, ABORT)]
            return all(line is not None and line["claimed_host"] == "10.1.2.3" for line in lines)

        await eventually(both_named)
        assert (audited(mirror_audit, claimed_user="anna", pv=GAIN) or {})["new"] == 6.25

    async def expert(server: LoginServer) -> None:
        async with page_of(server, "carl") as page:
            await known(page, FAIL, False)
            assert set((await rights(page)).values()) == {False}
            failed = await page.write(FAIL, 1, confirmed=True)
            assert not failed["ok"] and "carl" not in failed["message"], "it failed in the device itself"

        async def named() -> bool:
            return audited(mirror_audit, claimed_user="carl", pv=FAIL) is not None

        await eventually(named)

    with_server(config, operator)
    with_server(config, expert)


def test_an_image_is_read_only_for_who_may_only_look(config: WebConfig) -> None:
    async def work(server: LoginServer) -> None:
        for name, readonly in (("bert", True), ("anna", False)):
            server.session.cookie_jar.clear()
            async with page_of(server, name) as page:
                await known(page, GAIN, readonly)
                async with page_of(server, name, "image", page.token) as images:
                    await images.say(type="view", view=1, pv=GAIN)
                    is_state = lambda message: isinstance(message, dict) and message.get("connected")  # noqa: E731
                    assert (await images.hear(is_state))["readonly"] is readonly

    with_server(config, work)


def test_a_write_after_the_session_has_ended_is_refused_and_changes_nothing(site: Site, config: WebConfig) -> None:
    async def work(server: LoginServer) -> None:
        async with page_of(server, "anna") as page:
            await known(page, GAIN, False)
            before = site.proxy().gain
            assert (await server.post("/logout", {}, Cookie="; ".join(
                f"{key}={each.value}" for key, each in server.cookies().items()
            )))[0] == 303  # fmt: skip
            closed = False
            try:
                await page.say(type="write", pv=GAIN, value=before + 1.0, id=7, token=page.token)
                await page.hear(lambda message: isinstance(message, dict) and message.get("id") == 7 and message["ok"])
            except (AssertionError, ConnectionError):
                closed = True
            assert closed
            assert site.proxy().gain == before

    with_server(config, work)


@pytest.mark.parametrize(
    ("person", "command", "given", "sent"),
    [
        (Person("anna", "operate"), "ALARM:Acknowledge", {"alarm": "*", "who": "bert"}, {"alarm": "*", "who": "anna"}),
        (Person("anna", "operate"), "ALARM:Silence", {"minutes": 5}, {"minutes": 5}),
        (Person("anna", "operate"), "ALL1:Add", {"who": "bert"}, {"who": "bert"}),
        (Person("anna", "operate"), "ALARM:Acknowledge", ["who"], ["who"]),
        (ANYBODY, "ALARM:Acknowledge", {"alarm": "*", "who": "bert"}, {"alarm": "*", "who": "bert"}),
    ],
)
def test_an_alarm_is_acknowledged_by_who_is_logged_in_whatever_the_page_says(
    person: Person, command: str, given: Any, sent: Any
) -> None:
    site: Any = SimpleNamespace(alarms="ALARM:")
    socket = PvSocket(site, web.WebSocketResponse(), Visitor(Session(person), "10.1.2.3"))
    assert socket._arguments(command, {"arguments": given}) == sent
