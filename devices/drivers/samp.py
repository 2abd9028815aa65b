"""SAMP, the messaging of the Virtual Observatory: one message at a time through the hub of this host.

Source:
    IVOA, *Simple Application Messaging Protocol*, version 1.3, sections 3.4 to 4.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, RefusedError, TimeoutError

_LOCK_URL: Final = "std-lockurl:"
MOST_LOCK_BYTES: Final = 100_000


@dataclass(frozen=True)
class SampHub:
    """A hub, found anew for each message: it may have been started again.

    Attributes:
        lock_file: what the hub says of itself; None: where the standard has it, SAMP_HUB or ``~/.samp``.
        timeout_s: the longest wait for an answer.
    """

    lock_file: Path | None = None
    timeout_s: float = 10.0

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
        seconds = self.timeout_s if timeout_s is None else timeout_s
        return await asyncio.to_thread(self._call, client, mtype, dict(parameters), seconds)

    def _names(self, mtype: str) -> list[str]:
        with _Registration(self._lock(), self.timeout_s) as hub:
            return list(hub.clients(mtype))

    def _call(self, client: str, mtype: str, parameters: dict[str, str], seconds: float) -> dict[str, Any]:
        with _Registration(self._lock(), seconds) as hub:
            clients = hub.clients(mtype)
            if client not in clients and (client != "*" or not clients):
                raise NotConnectedError(f"the SAMP hub knows no {client} that understands {mtype}")
            target = clients[client] if client in clients else next(iter(clients.values()))
            message = {"samp.mtype": mtype, "samp.params": parameters}
            answer = hub.ask("callAndWait", target, message, f"{max(1, round(seconds))}")
        if not isinstance(answer, dict) or "samp.status" not in answer:
            raise ProtocolError(f"the SAMP client {client} answered {answer!r:.80}")
        if answer["samp.status"] == "samp.error":
            text = answer.get("samp.error", {}).get("samp.errortxt", "no reason given")
            raise RefusedError(f"the SAMP client {client} refuses: {text}")
        return dict(answer.get("samp.result", {}))

    def _lock(self) -> dict[str, str]:
        named = os.environ.get("SAMP_HUB", "")
        if self.lock_file is not None:
            path = self.lock_file
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
    """With a hub, for one message."""

    def __init__(self, lock: Mapping[str, str], seconds: float) -> None:
        self._secret = lock["samp.secret"]
        self._url, self._seconds = lock["samp.hub.xmlrpc.url"], seconds
        # The hub's own limit comes first.
        self._proxy = xmlrpc.client.ServerProxy(self._url, transport=_Transport(seconds + 2.0))
        self._key = ""

    def __enter__(self) -> _Registration:
        answer = self._run("register", self._secret)
        try:
            self._key = str(answer["samp.private-key"])
            self.ask("declareMetadata", {"samp.name": "diptych"})
        except (TypeError, KeyError) as error:
            raise ProtocolError(f"the SAMP hub {self._url} answered {answer!r:.80}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A hub that does not answer any more has forgotten us.
        if kind is None or issubclass(kind, RefusedError):
            self.ask("unregister")
        self._proxy("close")()

    def ask(self, method: str, *words: Any) -> Any:
        return self._run(method, self._key, *words)

    def clients(self, mtype: str) -> dict[str, str]:
        """Name -> identity of those that understand a message."""
        found = {}
        for identity in self.ask("getSubscribedClients", mtype):
            about = self.ask("getMetadata", identity)
            found[str(about.get("samp.name", identity))] = str(identity)
        return found

    def _run(self, method: str, *words: Any) -> Any:
        try:
            return getattr(self._proxy, f"samp.hub.{method}")(*words)
        except xmlrpc.client.Fault as error:
            if "timeout" in error.faultString.casefold() or "timed out" in error.faultString.casefold():
                raise TimeoutError(f"SAMP: no answer within {self._seconds:g} s") from error
            raise RefusedError(f"the SAMP hub refuses: {error.faultString}") from error
        except builtins.TimeoutError as error:
            raise TimeoutError(f"the SAMP hub {self._url} did not answer within {self._seconds:g} s") from error
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
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.hostname not in (None, "", "localhost", "127.0.0.1"):
        raise BadValueError(f"{url} is not a file of this host")
    return Path(unquote(parts.path))
