"""A Saxsdog client as the protocol describes it, with nothing of ours: REQ, the signature, JSON."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import zmq


def signed(secret: str, command: str, argument: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """A request with its signature; ``changed`` goes into it before it is signed."""
    request: dict[str, Any] = {"command": command, "time": time.time(), "sign": ""}
    if argument is not None:
        request["argument"] = argument
    request |= changed
    text = json.dumps(request, sort_keys=True, separators=(", ", ": "), ensure_ascii=True)
    request["sign"] = hashlib.sha512(text.encode("utf-8") + secret.encode("utf-8")).hexdigest()
    return request


def exchange(url: str, parts: list[bytes], seconds: float = 10.0, curve: tuple[str, str, str] | None = None) -> Any:
    """One message in a context and a socket of its own, as clients do it; the reply, or TimeoutError.

    Args:
        curve: the server's public key, own public and own secret key.
    """
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 1
        if curve is not None:
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in curve)
        socket.connect(url)
        socket.send_multipart(parts)
        if not socket.poll(int(1000 * seconds)):
            raise TimeoutError
        (reply,) = socket.recv_multipart()
        return json.loads(reply)


def ask(
    url: str, secret: str, command: str, argument: dict[str, Any] | None = None, files: tuple[tuple[str, str], ...] = ()
) -> Any:
    """A command with its attachments: name, and bytes as latin-1 text."""
    request = json.dumps(signed(secret, command, argument)).encode()
    return exchange(url, [request, *(json.dumps({"filename": name, "data": data}).encode() for name, data in files)])
