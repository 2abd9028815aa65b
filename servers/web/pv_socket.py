"""The PV socket of one page: PVWS JSON with the additions of docs/panel-sockets.md."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSMsgType, web

from devices.core.errors import BadValueError, DiptychError, NotAllowedError, NotConnectedError, reason
from servers.web import sender
from servers.web.channels import Channel
from servers.web.directory import Entry
from servers.web.login.visitor import Visitor
from servers.web.site import Site
from servers.web.typed import fill, query_of
from servers.web.update import number_text

log = logging.getLogger(__name__)

PROTOCOL: Final = 1
PERIOD: Final = 0.04  # s from one message with updates to the next, at least
MAX_PVS: Final = 20_000  # of one page
MAX_WRITES: Final = 200  # of one page, under way
MAX_NAME: Final = 200  # characters
WHO: Final = "who"  # the argument by which commands of the alarm device are told of the person
SCHEMES: Final = ("pva://", "ca://")


@dataclass(eq=False, slots=True)
class Seen:
    """One subscription of a page: the name as it was asked for, and what the page was told."""

    name: str
    channel: Channel
    watcher: Callable[[Channel], None]
    facts_version: int = -1
    question: str = ""
    period: float | None = None


class PvSocket:
    """One page that is connected.

    Args:
        answer: the prepared web-socket.
        visitor: who it is.
    """

    def __init__(self, site: Site, answer: web.WebSocketResponse, visitor: Visitor) -> None:
        self._site, self._answer, self._visitor = site, answer, visitor
        self._token = secrets.token_urlsafe(16)
        self._seen: dict[str, Seen] = {}
        self._news: dict[str, Seen] = {}
        self._wake = asyncio.Event()
        self._is_ours = self._batches = self._gives_credit = False
        self._credit = asyncio.Event()
        self._writes: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Talk until the page leaves."""
        self._site.tokens.add(self._token)
        self._site.directory.watchers.add(self._rights_changed)
        sending = sender.start(self._send_updates(), self._answer)
        try:
            await self._send(self._hello())
            async for message in self._answer:
                if message.type is not WSMsgType.TEXT:
                    break
                await self._hear(message.data)
        finally:
            self._site.directory.watchers.discard(self._rights_changed)
            self._site.tokens.discard(self._token)
            for seen in list(self._seen.values()):
                self._clear(seen.name)
            tasks = [sending, *self._writes]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _hello(self) -> dict[str, Any]:
        person = self._visitor.person
        can_leave = self._visitor.session.credential is not None
        said = {"name": person.name, "role": person.role, "logout": can_leave}
        who = {"person": said} if self._visitor.is_known else {}
        return {
            "type": "hello",
            "protocol": PROTOCOL,
            "facility": self._site.facility,
            "version": self._site.version,
            "alarms": self._site.alarms,
            "time": time.time(),
            "token": self._token,
            "writable": person.role != "view",
            **who,
        }

    async def _hear(self, text: str) -> None:
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            await self._send({"type": "error", "message": f"not a message: {text[:80]!r}"})
            return
        if kind in ("subscribe", "monitor", "clear", "write", "call"):
            self._visitor.session.touch()
        if kind == "hello":
            self._is_ours, self._batches = True, bool(message.get("batch"))
            self._gives_credit = self._batches and bool(message.get("credit"))
        elif kind == "credit":
            self._credit.set()
        elif kind in ("subscribe", "monitor"):
            for name in _names(message.get("pvs")):
                await self._subscribe(name)
        elif kind == "clear":
            for name in _names(message.get("pvs")):
                self._clear(name)
        elif kind == "write":
            await self._begin(message, self._write)
        elif kind == "call":
            await self._begin(message, self._call)
        elif kind == "list":
            await self._send({"type": "list", "pvs": list(self._seen)})
        elif kind == "echo":
            await self._answer.send_str(text)
        elif kind == "ping":
            await self._answer.ping()

    async def _subscribe(self, name: str) -> None:
        if name in self._seen:
            return
        plain = _plain(name)
        refusal = "" if plain else "this server gives EPICS PVs only"
        if len(self._seen) >= MAX_PVS:
            refusal = f"a page may show {MAX_PVS} PVs"
        if refusal:
            update = {"pv": name, "connected": False, "severity": "UNDEFINED", "reason": refusal, "readonly": True}
            await self._send({"type": "update"} | update)
            return
        watched: list[Seen] = []

        def noted(_: Channel) -> None:
            if watched:
                self._news[name] = watched[0]
                self._wake.set()

        channel = self._site.channels.watch(plain, noted)
        watched.append(Seen(name, channel, noted))
        self._seen[name] = self._news[name] = watched[0]
        self._wake.set()

    def _clear(self, name: str) -> None:
        seen = self._seen.pop(name, None)
        if seen is not None:
            self._news.pop(name, None)
            self._site.channels.leave(seen.channel, seen.watcher)

    def _rights_changed(self) -> None:
        self._news.update(self._seen)
        self._wake.set()

    async def _send_updates(self) -> None:
        """Send what is new, at most every ``PERIOD``; a page that reads slowly gets the newest values only."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            due = time.monotonic() + PERIOD
            news, self._news = self._news, {}
            updates = [text for seen in news.values() if (text := self._update(seen))]
            if updates and self._batches:
                self._credit.clear()
                await self._answer.send_str(f'{{"type":"updates","updates":[{",".join(updates)}]}}')
                if self._gives_credit:
                    await self._credit.wait()
            else:
                for text in updates:
                    await self._answer.send_str(f'{{"type":"update",{text[1:]}')
            await asyncio.sleep(due - time.monotonic())

    def _update(self, seen: Seen) -> str:
        """The JSON object of one update; "" while nothing is known."""
        seen.channel.take()
        entry = self._site.directory.entry(seen.channel.name)
        if not seen.channel.version and entry is None and self._site.directory.is_complete:
            changing, facts = '"connected":false,"severity":"UNDEFINED","reason":"there is no PV of this name"', ""
        elif not seen.channel.version:
            return ""
        else:
            changing, facts = seen.channel.json()
        is_writable = entry is not None and entry.is_writable and self._visitor.may_write(entry.level)
        text = f'{{"pv":{json.dumps(seen.name)},{changing},"readonly":{"false" if is_writable else "true"}'
        if facts and seen.facts_version != seen.channel.facts_version:
            seen.facts_version = seen.channel.facts_version
            text += f",{facts}"
        if entry is not None and (entry.question, entry.period) != (seen.question, seen.period):
            seen.question, seen.period = entry.question, entry.period
            text += f',"confirm":{json.dumps(entry.question or None)},"period":{json.dumps(entry.period)}'
        return text + "}"

    async def _begin(self, message: dict[str, Any], action: Callable[[str, dict[str, Any]], Awaitable[Any]]) -> None:
        if len(self._writes) >= MAX_WRITES:
            await self._acknowledge(message, NotAllowedError(f"{MAX_WRITES} writes of this page are under way"))
            return
        task = asyncio.create_task(self._act(message, action))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _act(self, message: dict[str, Any], action: Callable[[str, dict[str, Any]], Awaitable[Any]]) -> None:
        """Do what a page asks for if it may, and say what became of it."""
        name = str(message.get("pv", ""))
        try:
            result = await action(await self._permitted(name, message), message)
        except DiptychError as error:
            log.info("%s of %s by %s: %s", message["type"], name, self._visitor, error)
            await self._acknowledge(message, error)
        else:
            await self._acknowledge(message, None, result)

    async def _permitted(self, name: str, message: dict[str, Any]) -> str:
        """The PV without its scheme.

        Raises:
            NotAllowedError, BadValueError, NotConnectedError: this page may not, not so, or there is no such PV.
        """
        if self._is_ours and message.get("token") != self._token:
            raise NotAllowedError(f"{name}: the {message['type']} has not the token of this page")
        plain = _plain(name)
        if not plain or len(name) > MAX_NAME:
            raise BadValueError(f"{name[:MAX_NAME]} is not a PV that can be written")
        entry = await self._entry(plain)
        if not (entry.reads_only and message["type"] == "call"):
            self._demand_right(plain, entry.level, message)
        if entry.question and message.get("confirmed") is not True:
            raise NotAllowedError(f"{name} runs something dangerous: it must be confirmed, and was not")
        return plain

    async def _write(self, name: str, message: dict[str, Any]) -> None:
        wanted = message.get("value")
        await self._site.channels.put(name, lambda value: fill(name, value, wanted), by=self._visitor.claims)

    async def _call(self, name: str, message: dict[str, Any]) -> Any:
        """Call a command with its arguments at once: no other client's can get between them."""
        query = query_of(name, self._arguments(name, message))
        answer = await self._site.channels.call(name, query, by=self._visitor.claims)
        return number_text(answer.value) if isinstance(answer.value, float) else answer.value

    def _arguments(self, name: str, message: dict[str, Any]) -> Any:
        """Those that the page gives; who acts on an alarm is who is logged in, whatever the page says."""
        given, alarms = message.get("arguments", {}), self._site.alarms
        if (
            self._visitor.person.name
            and alarms
            and name.startswith(alarms)
            and isinstance(given, dict)
            and WHO in given
        ):
            return {**given, WHO: self._visitor.person.name}
        return given

    def _demand_right(self, pv: str, level: str, message: dict[str, Any]) -> None:
        """Do nothing when the person may write; a refusal is audited here, since the mirror hears nothing of it."""
        try:
            if self._visitor.session.why:
                raise NotAllowedError(f"{pv}: {self._visitor.session.why}")
            self._visitor.person.demand(pv, level)
        except NotAllowedError as error:
            wanted = message.get("value", message.get("arguments"))
            self._visitor.audit_refusal(self._site.audit, pv, wanted, f"{reason(error)}: {error}")
            raise

    async def _entry(self, name: str) -> Entry:
        entry = await self._site.directory.find(name)
        if entry is None:
            raise NotConnectedError(f"{name}: no mirror that answers has a PV of this name")
        return entry

    async def _acknowledge(self, message: dict[str, Any], error: DiptychError | None, result: Any = None) -> None:
        if "id" in message:
            text = "" if error is None else str(error)
            answer = {"type": "ack", "id": message["id"], "ok": error is None, "message": text}
            await self._send(answer if result is None else answer | {"result": result})
        elif error is not None:
            await self._send({"type": "error", "message": f"{message.get('pv')}: {reason(error)}: {error}"})

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._answer.closed:
            await self._answer.send_str(json.dumps(message, allow_nan=False))


def _names(pvs: Any) -> list[str]:
    return [name for name in pvs if isinstance(name, str)] if isinstance(pvs, list) else []


def _plain(name: str) -> str:
    """The PV without its scheme; "" for what is not a PV of EPICS (``loc://``, ``sim://``)."""
    for scheme in SCHEMES:
        name = name.removeprefix(scheme)
    return name if name and "://" not in name and len(name) <= MAX_NAME and name.isprintable() else ""
