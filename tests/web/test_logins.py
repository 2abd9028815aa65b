"""Who comes in: passwords, tokens, the proxy of a site; and who does not, whatever they try."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from devices.core.errors import ConfigurationError
from servers.facility.facility_file import read_facility
from servers.facility.readiness import panels_address, panels_answer
from servers.web.login.credentials import faults
from servers.web.login.logins import OF_ADDRESS, OF_NAME
from servers.web.login.sessions import ENDED
from servers.web.server import application
from tests.facility.running import DIPTYCH, wait_for
from tests.support.demo_facility import free_offset
from tests.web.login_server import (
    DEADLINE_S,
    PASSWORDS,
    ROLES,
    TOKEN,
    LoginServer,
    config_of,
    eventually,
    trusting,
    with_server,
    write_certificate,
    write_files,
)

USERS = {"users": "users", "roles": ROLES}
#: Everything that is worth something, and ways around the exceptions.
CLOSED = [
    "/", "/index.html", "/page.js", "/opi/tiny.bob", "/hist", "/hist/pvs", "/hist/export.csv", "/log", "/log/live",
    "/alarms/history", "/metrics", "/pvws/pv", "/pvws/image", "/login/", "/login/../page.js", "/login.css/../page.js",
    "/login%2f..%2fpage.js", "//login", "/login.html", "/..%2flogin%2fusers.py", "/%2e%2e/%2e%2e/setup.cfg", "/LOGIN",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


@pytest.mark.parametrize("web", [USERS, {"tokens": "tokens"}, {"forwarded_user": {"from": ["10.1.2.9"]}}])
def test_nothing_is_given_out_without_a_login(folder: Path, web: dict[str, Any]) -> None:
    async def work(server: LoginServer) -> None:
        for path in CLOSED:
            status, text, headers = await server.get(path)
            assert (status, text) == (401, "log in first"), path
            assert headers["X-Frame-Options"] == "SAMEORIGIN"
            assert "form-action 'self'" in headers["Content-Security-Policy"]
            async with server.session.post(server.address + path) as answer:
                assert answer.status in (401, 405), path
        for path in ("/pvws/pv", "/pvws/image", "/log/live"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
                await server.session.ws_connect(server.address + path)
        with socket.create_connection(("127.0.0.1", server.config.port)) as raw:  # as no client would write it
            raw.sendall(b"GET /login/../page.js HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert (await asyncio.to_thread(raw.recv, 100)).startswith(b"HTTP/1.1 401")

    with_server(config_of(folder, web), work)


def test_a_browser_is_led_to_the_form_from_anywhere(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        for path, form in (("/", "login"), ("/opi/tiny.bob", "../login"), ("/a/b/c", "../../login")):
            status, _, headers = await server.get(path, Accept="text/html")
            assert (status, headers["Location"]) == (303, form)
        status, text, headers = await server.get("/login", Accept="text/html")
        assert status == 200
        assert 'action="login"' in text and "<h1>lab</h1>" in text
        assert headers["Cache-Control"] == "no-store"
        for name in ("/login.css", "/login.js"):
            assert (await server.get(name))[0] == 200

    with_server(config_of(folder, USERS), work)


def test_the_right_password_opens_everything_and_logging_out_closes_it(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        assert (await server.log_in("anna"))[0] == 303
        (cookie,) = server.cookies().values()
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert not cookie["secure"], "a browser would not send it over plain HTTP"
        assert (await server.get("/opi/tiny.bob"))[0] == 200
        secret = cookie.value
        assert (await server.post("/logout", {}))[0] == 303
        assert not server.cookies()
        kept = {"Cookie": f"{cookie.key}={secret}"}
        assert (await server.get("/opi/tiny.bob", **kept))[0] == 401, "the server has forgotten it, too"
        assert [(line["event"], line["person"], line["peer"]) for line in server.audit()] == [
            ("login", "anna", "127.0.0.1"),
            ("logout", "anna", "127.0.0.1"),
        ]

    with_server(config_of(folder, USERS), work)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anna", PASSWORDS["bert"]),
        ("nobody", "nobody"),
        ("", ""),
        ("anna", "x" * 15_000),
        ("a" * 15_000, "x"),
        ("anna\0", PASSWORDS["anna"]),
        ("anna", PASSWORDS["anna"] + "\0"),
        ('<script>"&', "x"),
    ],
)
def test_a_wrong_login_is_refused_in_the_same_words_whatever_was_wrong(folder: Path, name: str, password: str) -> None:
    async def work(server: LoginServer) -> None:
        status, text = await server.log_in(name, password)
        assert status == 403
        assert "The name or the password is wrong." in text
        assert "<script>&" not in text and '<script>"' not in text
        assert not server.cookies()
        assert server.audit()[-1]["event"] == "login refused"
        assert len(str(server.audit()[-1])) < 1000

    with_server(config_of(folder, USERS), work)


def test_a_giant_form_is_refused_before_it_is_read(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        assert (await server.log_in("anna", "x" * 3_000_000))[0] == 413
        assert (await server.post("/login", b"\xff\xfe not a form"))[0] == 403
        assert (await server.log_in("anna"))[0] == 303

    with_server(config_of(folder, USERS), work)


def test_a_name_that_nobody_has_takes_the_same_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = []
    compare = __import__("bcrypt").checkpw

    def counted(password: bytes, known: bytes) -> bool:
        costs.append(known[4:6])
        return bool(compare(password, known))

    monkeypatch.setattr("servers.web.login.users.bcrypt.checkpw", counted)

    async def work(server: LoginServer) -> None:
        for name in ("anna", "nobody"):
            await server.log_in(name, "wrong")
        await server.log_in("anna", "x" * 100)

    with_server(config_of(folder, USERS), work)
    assert costs == [b"10"] * 3


def test_guessing_is_slowed_down_by_name_and_says_so(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        for _ in range(OF_NAME[0]):
            assert (await server.log_in("anna", "guess"))[0] == 403
        status, text = await server.log_in("anna")
        assert status == 429, "not even the right one, now"
        assert "try again in" in text and "127.0.0.1" in text
        assert (await server.log_in("carl"))[0] == 303, "others are not locked out"
        async with server.session.post(server.address + "/login", data={"name": "anna", "password": "x"}) as answer:
            assert 0 < int(answer.headers["Retry-After"]) <= OF_NAME[1]

    with_server(config_of(folder, USERS), work)


def test_guessing_all_at_once_is_no_way_around(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        answers = []
        for _ in range(2):
            answers += await asyncio.gather(*(server.log_in(f"user{n}", "guess") for n in range(30)))
        statuses = [status for status, _ in answers]
        assert set(statuses) == {403, 429, 503}
        assert statuses.count(403) <= OF_ADDRESS[0] + 1, "one may have drained away"

    with_server(config_of(folder, USERS), work)


def test_a_session_that_somebody_else_chose_is_never_taken_over(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        await server.log_in("bert")
        (cookie,) = server.cookies().values()
        before = {"Cookie": f"{cookie.key}={cookie.value}"}
        await server.log_in("anna")
        (after,) = server.cookies().values()
        assert after.value != cookie.value
        server.session.cookie_jar.clear()
        assert (await server.get("/", **before))[0] == 401, "the former one has ended"
        planted = "planted-by-somebody-else-0123456789abcdef"
        assert (await server.get("/", Cookie=f"{cookie.key}={planted}"))[0] == 401
        assert (await server.log_in("anna", None, Cookie=f"{cookie.key}={planted}"))[0] == 303
        assert planted not in {each.value for each in server.cookies().values()}

    with_server(config_of(folder, USERS), work)


def test_a_page_of_another_site_can_do_nothing_with_a_cookie_that_is_valid(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        foreign = {"Origin": "http://evil.example"}
        assert (await server.log_in("anna", None, **foreign))[0] == 403
        assert (await server.log_in("anna", None, Origin="null"))[0] == 403
        await server.log_in("anna")
        for path in ("/pvws/pv", "/pvws/image", "/log/live"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await server.session.ws_connect(server.address + path, headers=foreign)
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await server.session.ws_connect(server.address + path, headers={"Host": "rebound.example"})
        assert (await server.get("/hist/pvs", **foreign))[0] == 403
        assert (await server.post("/logout", {}, **foreign))[0] == 403
        assert (await server.get("/"))[0] == 200, "she is still logged in"

    with_server(config_of(folder, USERS), work)


def test_pages_that_a_proxy_gives_out_may_use_the_server(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        assert (await server.log_in("anna", None, Origin="https://panels.site"))[0] == 303
        for host, status in (("panels.site", 200), ("panels.other", 403)):
            assert (await server.get("/", Host=host, Origin="https://panels.site"))[0] == status

    with_server(config_of(folder, {**USERS, "origins": ["https://panels.site"], "names": ["panels.site"]}), work)


@pytest.mark.parametrize(("session", "why"), [({"idle": "1 s"}, "long time"), ({"absolute": "1 s"}, "lasted its time")])
def test_a_session_ends_by_itself_and_so_do_its_sockets(folder: Path, session: dict[str, str], why: str) -> None:
    async def work(server: LoginServer) -> None:
        await server.log_in("anna")
        sockets = [await server.session.ws_connect(f"{server.address}/pvws/{kind}") for kind in ("pv", "image")]
        for open_socket in sockets:
            while (message := await asyncio.wait_for(open_socket.receive(), DEADLINE_S)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, ENDED)
            assert why in str(message.extra)
        assert (await server.get("/"))[0] == 401

    with_server(config_of(folder, {**USERS, "session": session}), work)


def test_who_does_something_stays_logged_in(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        await server.log_in("anna")
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with server.session.ws_connect(f"{server.address}/pvws/pv") as page:
            while loop.time() - began < 2.5:
                await page.send_json({"type": "subscribe", "pvs": ["LAB:Temperature"]})
                await asyncio.sleep(0.1)
            assert not page.closed
        assert (await server.get("/"))[0] == 200

    with_server(config_of(folder, {**USERS, "session": {"idle": "1 s"}}), work)


def test_logging_out_closes_the_sockets_of_all_tabs(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        await server.log_in("anna")
        tabs = [await server.session.ws_connect(f"{server.address}/pvws/pv") for _ in range(2)]
        for tab in tabs:
            hello = await tab.receive_json()
            assert hello["person"] == {"name": "anna", "role": "operate", "logout": True}
        await server.post("/logout", {})
        for tab in tabs:
            assert (await asyncio.wait_for(tab.receive(), DEADLINE_S)).data == ENDED

    with_server(config_of(folder, USERS), work)


def test_a_person_who_is_taken_out_of_the_file_is_out_at_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def complained() -> bool:
        return "users has changed and cannot be used" in caplog.text

    async def work(server: LoginServer) -> None:
        await server.log_in("bert")
        page = await server.session.ws_connect(f"{server.address}/pvws/pv")
        await page.receive_json()
        path = folder / "users"
        sound = path.read_text()
        path.write_text("bert:plain text\n")  # cannot be used: what was holds
        await eventually(complained)
        assert (await server.get("/"))[0] == 200
        path.write_text("\n".join(line for line in sound.splitlines() if not line.startswith("bert")))
        assert (await asyncio.wait_for(page.receive(), DEADLINE_S)).data == ENDED
        assert (await server.get("/"))[0] == 401
        assert (await server.log_in("bert"))[0] == 403
        assert (await server.log_in("anna"))[0] == 303

    with_server(config_of(folder, USERS), work)


def test_a_token_lets_scripts_and_displays_in_until_it_is_taken_away(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await server.get("/", **bearer))[0] == 200
        assert (await server.get("/", Authorization="Bearer " + "x" * 40))[0] == 401
        async with server.session.ws_connect(f"{server.address}/pvws/pv", headers=bearer) as script:
            assert (await script.receive_json())["person"] == {"name": "wall", "role": "operate", "logout": True}
            assert (await server.post("/login", {"token": "x" * 40}))[0] == 403
            assert (await server.post("/login", {"token": TOKEN}))[0] == 303  # a display, by the form
            (cookie,) = server.cookies().values()
            assert cookie["httponly"] and int(cookie["max-age"]) > 30 * 86400
            assert (await server.get("/"))[0] == 200
            (folder / "tokens").write_text("")
            assert (await asyncio.wait_for(script.receive(), DEADLINE_S)).data == ENDED
        assert (await server.get("/"))[0] == 401

    web = {"tokens": "tokens", "roles": {"wall": "operate"}, "session": {"idle": "1 s", "absolute": "1 s"}}
    with_server(config_of(folder, web), work)


def test_the_proxy_says_who_it_is_and_nobody_else_is_believed(folder: Path) -> None:
    async def asked(server: LoginServer, **headers: str) -> dict[str, Any]:
        async with server.session.ws_connect(f"{server.address}/pvws/pv", headers=headers) as page:
            hello: dict[str, Any] = await page.receive_json()
            return hello["person"]

    async def believed(server: LoginServer) -> None:
        anna = {"X-Forwarded-User": "anna", "X-Forwarded-For": "10.9.9.9, 10.1.2.3"}
        assert await asked(server, **anna) == {"name": "anna", "role": "operate", "logout": False}
        guest = await asked(server, **{"X-Forwarded-User": "guest@site"})
        assert guest == {"name": "guest@site", "role": "view", "logout": False}
        assert server.audit()[0]["peer"] == "10.1.2.3", "what the proxy itself has seen"
        assert (await server.get("/"))[0] == 401, "the proxy did not ask"
        for name in ("", "an na", "<b>", "x" * 65):
            assert (await server.get("/", **{"X-Forwarded-User": name}))[0] == 403
        twice = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-User: carl\r\nX-Forwarded-User: anna\r\n"
        with socket.create_connection(("127.0.0.1", server.config.port)) as raw:
            raw.sendall(twice + b"Connection: close\r\n\r\n")
            assert (await asyncio.to_thread(raw.recv, 100)).startswith(b"HTTP/1.1 403"), "one is the browser's"

    async def not_believed(server: LoginServer) -> None:
        for name in ("X-Forwarded-User", "x-forwarded-user"):
            assert (await server.get("/", **{name: "carl"}))[0] == 401
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await asked(server, **{"X-Forwarded-User": "carl"})
        status, _ = await server.log_in("anna", "wrong", **{"X-Forwarded-For": "1.2.3.4"})
        assert status == 403
        assert server.audit()[-1]["peer"] == "127.0.0.1"

    with_server(config_of(folder, {**USERS, "forwarded_user": {"from": ["127.0.0.0/8"]}}), believed)
    with_server(config_of(folder, {**USERS, "forwarded_user": {"from": ["10.1.2.9"]}}), not_believed)


def test_a_visitor_may_look_where_the_facility_says_so_and_can_log_in_for_more(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        async with server.session.ws_connect(f"{server.address}/pvws/pv") as page:
            hello = await page.receive_json()
            assert (hello["person"], hello["writable"]) == ({"name": "", "role": "view", "logout": False}, False)
        assert (await server.log_in("anna"))[0] == 303
        async with server.session.ws_connect(f"{server.address}/pvws/pv") as page:
            hello = await page.receive_json()
            assert (hello["person"]["name"], hello["writable"]) == ("anna", True)
        assert (await server.get("/", Authorization="Bearer wrong"))[0] == 401, "who claims something must be right"

    with_server(config_of(folder, {**USERS, "anonymous": "view"}), work)


def test_on_loopback_without_logins_nobody_is_asked(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        assert (await server.get("/"))[0] == 200
        assert (await server.get("/login"))[0] == 404
        async with server.session.ws_connect(f"{server.address}/pvws/pv") as page:
            hello = await page.receive_json()
            assert hello["writable"] and "person" not in hello

    with_server(config_of(folder, {}), work)


def test_with_tls_the_certificate_is_that_of_the_file_and_the_cookie_is_for_tls_only(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        believing = trusting(folder)
        async with server.session.get(server.address + "/login", ssl=believing) as answer:
            assert answer.status == 200
        assert (await server.log_in("anna"))[0] == 303
        (cookie,) = server.cookies().values()
        assert cookie["secure"] and cookie.key.startswith("__Host-")
        async with server.session.ws_connect(f"{server.address}/pvws/pv", ssl=believing) as page:
            assert (await page.receive_json())["person"]["name"] == "anna"
        with pytest.raises(aiohttp.ClientError):
            await server.session.get(f"http://127.0.0.1:{server.config.port}/login")

        async def renewed() -> bool:
            async with aiohttp.ClientSession() as fresh:
                try:
                    async with fresh.get(server.address + "/login", ssl=trusting(folder)) as answer:
                        return answer.status == 200
                except aiohttp.ClientConnectorCertificateError:
                    return False

        write_certificate(folder, "renewed.test")
        assert not await renewed()
        await eventually(renewed)

    write_certificate(folder)
    with_server(config_of(folder, {**USERS, "certificate": "lab.crt", "key": "lab.key"}), work)


def test_behind_a_proxy_that_speaks_tls_others_may_not_connect(folder: Path) -> None:
    async def work(server: LoginServer) -> None:
        assert (await server.log_in("anna", None, **{"X-Forwarded-For": "10.1.2.3"}))[0] == 303
        assert server.audit()[-1]["peer"] == "127.0.0.1", "this host is not the proxy"

    with_server(config_of(folder, {**USERS, "behind_tls_proxy": ["10.1.2.9"]}), work)


def test_the_process_of_a_facility_serves_over_tls_and_readiness_is_told_so(folder: Path) -> None:
    write_certificate(folder)
    (folder / "opi").mkdir()
    mirror = {"EpicsMirror": {"mirror/epics/1": {"properties": {"pv_prefix": ["MIRROR1:"]}}}}
    (folder / "lab.json").write_text(json.dumps({"servers": {"Diptych": {"mirror": mirror}}}))
    web = {"web": {**USERS, "certificate": "lab.crt", "key": "lab.key"}, "panels": "opi", "mirrors": ["mirror"]}
    classes = {"EpicsMirror": "servers.epics.device:EpicsMirror"}
    (folder / "lab.facility.yaml").write_text(json.dumps({**web, "classes": classes}))
    offset = free_offset()
    facility = read_facility(folder / "lab.json", state_dir=folder / "state", offset=offset)
    assert panels_address(facility) == f"https://127.0.0.1:{8080 + offset}/"
    words = ["web", "--facility", str(folder / "lab.json"), "--state-dir", str(folder / "state")]
    process = subprocess.Popen([*DIPTYCH, *words, "--port-offset", str(offset)], stderr=subprocess.PIPE)
    try:
        wait_for(lambda: process.poll() is not None or panels_answer(facility), 30.0, "an answer")
        assert process.poll() is None, process.communicate()
        believing = ssl.create_default_context(cafile=str(folder / "lab.crt"))
        form = urllib.parse.urlencode({"name": "anna", "password": "wrong"}).encode()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(panels_address(facility) + "login", form, context=believing)
        assert '"login refused"' in (folder / "state" / "log" / "web-audit.jsonl").read_text()
    finally:
        process.terminate()
        process.communicate(timeout=10.0)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "users").write_text("anna:secret\n"), "no bcrypt hash"),
        (lambda folder: (folder / "users").chmod(0o644), "chmod 640 users"),
        (lambda folder: (folder / "tokens").chmod(0o640), "chmod 600 tokens"),
        (lambda folder: (folder / "lab.key").chmod(0o644), "chmod 640"),
        (lambda folder: (folder / "lab.crt").write_text("no certificate"), "are not a certificate and its key"),
        (lambda folder: os.replace(folder / "tokens", folder / "lab.key"), "are not a certificate and its key"),
    ],
)
def test_a_server_with_a_faulty_file_does_not_start(folder: Path, spoil: Any, why: str) -> None:
    write_certificate(folder)
    web = {"users": "users", "tokens": "tokens", "certificate": "lab.crt", "key": "lab.key"}
    config = config_of(folder, web)
    spoil(folder)
    with pytest.raises(ConfigurationError) as refused:
        application(config)
    assert faults(config.settings)[0] in str(refused.value), "told before a facility starts, too"
    assert why in str(refused.value)
