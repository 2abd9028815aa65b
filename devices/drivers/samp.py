"""SAMP, the messaging of the Virtual Observatory: one message at a time through the hub of this host.

The XML of the hub, a program of the same person on the same host, is read by expat, which bounds entities itself.

Source:
    IVOA, *Simple Application Messaging Protocol*, version 1.3, sections 3.4 to 4.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import re
import threading
import xmlrpc.client  # nosec B411
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from devices.core.errors import (
    BadValueError,
    DiptychError,
    NotConnectedError,
    ProtocolError,
    RefusedError,
    TimeoutError,
)

_LOCK_URL: Final = "std-lockurl:"
MOST_LOCK_BYTES: Final = 100_000


class SampHub:
    """A hub, as one client of it; it may be started again meanwhile.

    The registration stays: the hub tells everybody of each, and a ds9 that is told often loses messages.

    Args:
        lock_file: what the hub says of itself; None: where the standard has it, SAMP_HUB or ``~/.samp``.
        timeout_s: the longest wait for an answer.
    """

    def __init__(self, lock_file: Path | None = None, timeout_s: float = 10.0) -> None:
        self._lock_file, self._timeout_s = lock_file, timeout_s
        self._registration: _Registration | None = None
        self._one_at_a_time = threading.Lock()

    async def names(self, mtype: str) -> list[str]:
        """The names of the clients that understand a message.

        Raises:
            NotConnectedError, TimeoutError: there is no hub. ProtocolError: it answers nonsense.
        """
        return await asyncio.to_thread(self._names, mtype)

    async def call(
        self, client: str, mtype: str, parameters: Mapping[str, str], timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Send a message to a client and wait for its answer.

        Args:
            client: its name; ``*``: the first one that understands the message.

        Raises:
            RefusedError: with the client's words. NotConnectedError: no hub, or no such client. TimeoutError.
        """
        seconds = self._timeout_s if timeout_s is None else timeout_s
        return await asyncio.to_thread(self._call, client, mtype, dict(parameters), seconds)

    async def close(self) -> None:
        """Unregister; the next message registers anew."""
        await asyncio.to_thread(self._close)

    def _names(self, mtype: str) -> list[str]:
        with self._one_at_a_time:
            return list(self._registered().clients(mtype))

    def _call(self, client: str, mtype: str, parameters: dict[str, str], seconds: float) -> dict[str, Any]:
        with self._one_at_a_time:
            hub = self._registered()
            clients = hub.clients(mtype)
            if client not in clients and (client != "*" or not clients):
                raise NotConnectedError(f"the SAMP hub knows no {client} that understands {mtype}")
            target = clients[client] if client in clients else next(iter(clients.values()))
            message = {"samp.mtype": mtype, "samp.params": parameters}
            answer = hub.ask("callAndWait", target, message, f"{max(1, round(seconds))}", seconds=seconds)
        if not isinstance(answer, dict) or "samp.status" not in answer:
            raise ProtocolError(f"the SAMP client {client} answered {answer!r:.80}")
        if answer["samp.status"] == "samp.error":
            text = answer.get("samp.error", {}).get("samp.errortxt", "no reason given").strip()
            raise RefusedError(f"the SAMP client {client} refuses: {text}")
        return dict(answer.get("samp.result", {}))

    def _registered(self) -> _Registration:
        lock = self._lock()
        if self._registration is None or self._registration.lock != lock:
            self._registration = _Registration(lock, self._timeout_s)
        return self._registration

    def _close(self) -> None:
        with self._one_at_a_time:
            registration, self._registration = self._registration, None
            if registration is not None:
                # A hub that is gone has forgotten us.
                with suppress(DiptychError):
                    registration.ask("unregister")

    def _lock(self) -> dict[str, str]:
        named = os.environ.get("SAMP_HUB", "")
        if self._lock_file is not None:
            path = self._lock_file
        elif named.startswith(_LOCK_URL):
            path = file_of_url(named.removeprefix(_LOCK_URL))
        else:
            path = Path.home() / ".samp"
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                lines = file.read(MOST_LOCK_BYTES).splitlines()
        except OSError as error:
            raise NotConnectedError(f"no SAMP hub runs: {path}: {error.strerror}") from error
        lock = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        if not {"samp.secret", "samp.hub.xmlrpc.url"} <= lock.keys():
            raise ProtocolError(f"{path} is not the file of a SAMP hub")
        return lock


class _Registration:
    """With the hub that has this lock file."""

    def __init__(self, lock: dict[str, str], seconds: float) -> None:
        self.lock = lock
        self._url, self._seconds = lock["samp.hub.xmlrpc.url"], seconds
        answer = self._run("register", seconds, lock["samp.secret"])
        if not isinstance(answer, dict) or "samp.private-key" not in answer:
            raise ProtocolError(f"the SAMP hub {self._url} answered {answer!r:.80}")
        self._key = str(answer["samp.private-key"])
        self.ask("declareMetadata", {"samp.name": "diptych"})

    def ask(self, method: str, *words: Any, seconds: float | None = None) -> Any:
        return self._run(method, self._seconds if seconds is None else seconds, self._key, *words)

    def clients(self, mtype: str) -> dict[str, str]:
        """Name -> identity of those that understand a message."""
        found = {}
        for identity in self.ask("getSubscribedClients", mtype):
            about = self.ask("getMetadata", identity)
            found[str(about.get("samp.name", identity))] = str(identity)
        return found

    def _run(self, method: str, seconds: float, *words: Any) -> Any:
        try:
            # The hub's own limit comes first.
            with xmlrpc.client.ServerProxy(self._url, transport=_Transport(seconds + 2.0)) as hub:
                return getattr(hub, f"samp.hub.{method}")(*words)
        except xmlrpc.client.Fault as error:
            if re.search("time.?out|timed out", error.faultString, re.IGNORECASE):
                raise TimeoutError(f"SAMP: no answer within {seconds:g} s") from error
            raise RefusedError(f"the SAMP hub refuses: {error.faultString}") from error
        except builtins.TimeoutError as error:
            raise TimeoutError(f"the SAMP hub {self._url} did not answer within {seconds:g} s") from error
        except OSError as error:
            raise NotConnectedError(f"the SAMP hub {self._url}: {error.strerror or error}") from error
        except (xmlrpc.client.Error, HTTPException, ValueError) as error:
            raise ProtocolError(f"the SAMP hub {self._url} does not speak XML-RPC: {error}") from error


class _Transport(xmlrpc.client.Transport):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def make_connection(self, host: Any) -> HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self._seconds
        return connection


def file_of_url(url: str) -> Path:
    """The file of a ``file://`` URL of this host.

    Raises:
        BadValueError: it is of another kind, or of another host.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise BadValueError(f"{url} is no address: {error}") from error
    if parts.scheme != "file" or host not in (None, "", "localhost", "127.0.0.1"):
        raise BadValueError(f"{url} is not a file of this host")
    return Path(unquote(parts.path))
