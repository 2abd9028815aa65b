"""Who is told of an alarm: a real mail server and a real web server on this host, also when they were away."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, TypeVar

from servers.alarms.alarm_list import Recipient
from servers.alarms.annunciator import Notice
from servers.alarms.notices import GIVE_UP_S, Notices
from tests.support.serving import wait_until

Kind = TypeVar("Kind", bound=socketserver.BaseServer)

NOTICE = Notice(
    time.time(), "CRYO1:TemperatureA", "cryo/cryocon/1", "MAJOR", "93.5 K: über 90 K\nBcc: x@y.z",
    "Fill nitrogen.\n.\nThen ring the shift leader.", ("shift", "hook"),
)  # fmt: skip


class MailHandler(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as takes a mail."""

    server: MailServer

    def handle(self) -> None:
        self.say("220 mail.site.example")
        mail: dict[str, Any] = {"to": []}
        while line := self.rfile.readline().decode().strip():
            word = line.upper()
            if word.startswith(("EHLO", "HELO")):
                self.say("250 mail.site.example")
            elif word.startswith("MAIL FROM:"):
                mail["from"] = line[10:].split()[0].strip("<>")
                self.say("250 sender ok")
            elif word.startswith("RCPT TO:"):
                address = line[8:].strip("<> ")
                if address in self.server.refused:
                    self.say("550 no such user")
                else:
                    mail["to"].append(address)
                    self.say("250 recipient ok")
            elif word == "DATA":
                self.say("354 go on")
                lines = []
                while (data := self.rfile.readline()) != b".\r\n":
                    lines.append(data.removeprefix(b"."))
                mail["content"] = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                self.server.mails.append(mail)
                self.say("250 taken")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.mails: list[dict[str, Any]] = []
        self.refused: set[str] = set()
        super().__init__(("127.0.0.1", port), MailHandler)


class Hook(HTTPServer):
    """Answers the first posts with what is in ``answers``, the others with 200."""

    def __init__(self, port: int = 0) -> None:
        self.posts: list[dict[str, Any]] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", port), HookHandler)


class HookHandler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if answer == 200:
            assert self.headers["Content-Type"] == "application/json"
            self.server.posts.append(json.loads(content))
        self.send_response(answer)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def running(server: Kind) -> Iterator[Kind]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def told(*recipients: Recipient, retry_s: float = 0.05) -> Iterator[Notices]:
    notices = Notices({each.name: each for each in recipients}, "Beamline 7", retry_s)
    notices.start()
    try:
        yield notices
    finally:
        notices.close()
        assert not notices.is_alive()


def shift(port: int, *addresses: str) -> Recipient:
    return Recipient("shift", addresses or ("ada@site.example",), f"127.0.0.1:{port}", "alarms@site.example")


def hook(port: int) -> Recipient:
    return Recipient("hook", webhook=f"http://127.0.0.1:{port}/alarm")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], what: str) -> None:
    wait_until(true, 10.0, what)


def test_a_mail_says_what_is_wrong_where_since_when_and_what_to_do() -> None:
    with running(MailServer()) as server, told(shift(server.server_address[1], "ada@site.example", "bob@x.y")) as to:
        to.tell(NOTICE)
        until(lambda: server.mails, "a mail comes")
    (mail,) = server.mails
    content = mail["content"]
    assert (mail["from"], mail["to"]) == ("alarms@site.example", ["ada@site.example", "bob@x.y"])
    assert content["Subject"] == "Beamline 7: MAJOR CRYO1:TemperatureA: 93.5 K: über 90 K Bcc: x@y.z"
    assert content["Bcc"] is None and content["Date"] is not None
    body = content.get_content().replace("\r\n", "\n")
    for part in ("93.5 K: über 90 K", "device cryo/cryocon/1", "Fill nitrogen.\n.\nThen ring", "since 20"):
        assert part in body


def test_a_webhook_is_given_everything_as_json() -> None:
    with running(Hook()) as server, told(hook(server.server_address[1])) as to:
        to.tell(NOTICE)
        until(lambda: server.posts, "a post comes")
    assert server.posts == [
        {
            "facility": "Beamline 7",
            "time_s": NOTICE.time_s,
            "alarm": "CRYO1:TemperatureA",
            "device": "cryo/cryocon/1",
            "severity": "MAJOR",
            "text": NOTICE.text,
            "guidance": NOTICE.guidance,
        }
    ]


def test_who_was_away_is_told_when_he_is_back_and_meanwhile_the_problem_is_said() -> None:
    mail_port, hook_port = closed_port(), closed_port()
    with told(shift(mail_port), hook(hook_port)) as to:
        to.tell(NOTICE)
        until(lambda: "cannot be told" in to.problem, "the problem is said")
        with running(MailServer(mail_port)) as mails, running(Hook(hook_port)) as posts:
            until(lambda: mails.mails and posts.posts, "both are told")
            until(lambda: to.problem == "", "no problem is left")
            assert (len(mails.mails), len(posts.posts)) == (1, 1)


def test_one_that_answers_with_an_error_is_asked_again_and_does_not_keep_others_waiting() -> None:
    with running(Hook()) as server, told(shift(closed_port()), hook(server.server_address[1])) as to:
        server.answers[:] = [503, 500]
        to.tell(NOTICE)
        until(lambda: server.posts, "the third post is taken")
        assert server.answers == []
        until(lambda: to.problem.startswith("shift cannot be told"), "who is still away is named")


def test_one_of_two_addresses_that_is_refused_does_not_send_the_other_the_mail_again() -> None:
    with running(MailServer()) as server, told(shift(server.server_address[1], "ada@x.y", "gone@x.y")) as to:
        server.refused.add("gone@x.y")
        to.tell(NOTICE)
        until(lambda: "gone@x.y" in to.problem, "the address is named")
        to.tell(replace(NOTICE, alarm="SAXS1:State"))
        until(lambda: len(server.mails) >= 2, "the next mail comes")
    assert [mail["to"] for mail in server.mails] == [["ada@x.y"], ["ada@x.y"]]


def test_an_old_notice_is_given_up() -> None:
    with running(Hook()) as server, told(hook(server.server_address[1])) as to:
        server.answers[:] = [503] * 2
        to.tell(replace(NOTICE, time_s=time.time() - GIVE_UP_S - 1.0, alarm="old"))
        until(lambda: len(server.answers) == 1, "it was tried")
        to.tell(NOTICE)
        until(lambda: server.posts, "the new one is taken")
    assert [post["alarm"] for post in server.posts] == ["CRYO1:TemperatureA"]


def test_an_end_does_not_wait_for_who_is_away() -> None:
    with told(shift(closed_port()), retry_s=3600.0) as to:
        to.tell(NOTICE)
        until(lambda: to.problem, "it was tried")
