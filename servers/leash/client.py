"""A client of a Saxsdog server: asks, checks the reply, and says clearly why there is none."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import zmq

from devices.core.errors import (
    BadValueError,
    NotAllowedError,
    NotConnectedError,
    ProtocolError,
    RefusedError,
    TimeoutError,
)
from devices.core.quick_jsonschema import jsonschema
from devices.saxs.results import Attachment
from servers.leash.curve_keys import ClientKeys
from servers.leash.endpoint import Endpoint
from servers.leash.request import attachment_digests, read_schema
from servers.leash.signature import CLOCK_TOLERANCE_S, UNTIMELY, WRONG, signature

#: How long the server may take, s: it needs seconds for the tables of a new queue.
TIMEOUT_S: Final = 100.0
CONNECT_S: Final = 5.0

Reply = Mapping[str, Any]


class LeashClient:
    """Sends each command over a connection of its own.

    Args:
        server: where to.
        secret: what requests are signed with.
        keys: for an encrypted server, whose address is theirs.
        seconds: how long a reply may take, s.
    """

    def __init__(
        self, server: Endpoint, secret: str, keys: ClientKeys | None = None, seconds: float = TIMEOUT_S
    ) -> None:
        self.server = keys.server if keys is not None else server
        self._secret, self._keys, self._seconds = secret, keys, seconds

    def ask(
        self,
        command: str,
        argument: Mapping[str, Any] | None = None,
        files: Sequence[Attachment] = (),
        encoding: str = "latin-1",
    ) -> Reply:
        """The reply, ``{"result": ..., "data": {...}}``, also when it is an error of the device.

        Args:
            files: what is attached.
            encoding: what makes a text of its bytes: ``latin-1`` for masks, ``utf-8`` for logs.

        Raises:
            NotConnectedError: nobody listens there.
            TimeoutError: no reply in time.
            NotAllowedError: the server does not let the request in: another secret, another clock.
            ProtocolError: the reply is none that the protocol knows.
            BadValueError: a file is no text of this encoding.
        """
        try:
            texts = [{"filename": file.filename, "data": file.data.decode(encoding)} for file in files]
        except UnicodeDecodeError as error:
            raise BadValueError(f"an attached file is no {encoding} text: {error}") from error
        parts = [json.dumps(text).encode() for text in texts]
        request: dict[str, Any] = {"command": command, "argument": dict(argument or {})}
        if parts:
            request["argument"]["data"] = {"attachments": attachment_digests(parts)}
        self._require_listener()
        request |= {"time": time.time(), "sign": ""}
        request["sign"] = signature(request, self._secret)
        reply = self._checked(self._exchange([json.dumps(request).encode(), *parts]))
        if reply["result"] == "AuthenticationError":
            raise NotAllowedError(self._refusal(str(reply["data"].get("Error"))))
        return reply

    def _require_listener(self) -> None:
        """ZeroMQ would wait for one to come, without a word."""
        try:
            socket.create_connection((self.server.host, self.server.port), CONNECT_S).close()
        except OSError as error:
            raise NotConnectedError(f"{self.server}: {error.strerror or error}; does the server run?") from error

    def _exchange(self, parts: Sequence[bytes]) -> bytes:
        with zmq.Context() as context, context.socket(zmq.REQ) as link:
            link.linger = 1
            link.setsockopt(zmq.IPV6, 1)
            if self._keys is not None:
                link.curve_serverkey = self._keys.server_public.encode()
                link.curve_publickey, link.curve_secretkey = self._keys.public.encode(), self._keys.secret.encode()
            link.connect(str(self.server))
            link.send_multipart(parts)
            if not link.poll(int(1000 * self._seconds)):
                hint = "it may take only encrypted requests" if self._keys is None else "it may not know our key"
                raise TimeoutError(f"{self.server}: no reply within {self._seconds:g} s; {hint}")
            return b"".join(link.recv_multipart())

    def _checked(self, answer: bytes) -> Reply:
        try:
            reply: Reply = json.loads(answer)
            jsonschema.validate(reply, read_schema("reply"))
        except (ValueError, RecursionError, jsonschema.ValidationError) as error:
            problem = error.message if isinstance(error, jsonschema.ValidationError) else str(error)
            raise ProtocolError(f"{self.server}: a reply that the protocol does not know: {problem[:200]}") from error
        return reply

    def _refusal(self, text: str) -> str:
        reasons = {
            WRONG: "the Secret of this entry is not that of the server",
            UNTIMELY: f"the clocks of this host and of the server differ by more than {CLOCK_TOLERANCE_S:g} s",
        }
        return f"{self.server} refuses the request: {reasons.get(text, text)}"


def require_done(reply: Reply) -> Reply:
    """The reply, unless it is an error.

    Raises:
        RefusedError: it is one.
    """
    if "Error" in reply["result"] or "Error" in reply["data"]:
        raise RefusedError(f"{reply['result']}: {reply['data'].get('Error', 'no reason given')}")
    return reply
