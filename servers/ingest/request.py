"""The head of an HTTP/1.1 request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from devices.core.errors import DiptychError
from devices.drivers.correlator_message import Receipt

MAX_TARGET: Final = 256
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST: Final = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*)")


class RequestError(DiptychError):
    """A request is not carried out; ``status`` says so to HTTP, ``receipt`` to the nodes."""

    def __init__(self, status: int, receipt: Receipt, text: str, headers: tuple[str, ...] = ()) -> None:
        self.status, self.receipt, self.headers = status, receipt, headers
        super().__init__(text)

    def __reduce__(self) -> tuple[type[RequestError], tuple[int, Receipt, str, tuple[str, ...]]]:
        return type(self), (self.status, self.receipt, str(self), self.headers)


@dataclass(frozen=True)
class RequestHead:
    """What stands before a body.

    Attributes:
        target: as the client spelled it.
        length: of the body, byte.
        expects: whether the client waits for ``100 Continue`` before it sends the body.
        keeps: whether the connection stays for another request.
        authorization: the header of this name; empty: none.
    """

    target: str
    length: int
    expects: bool
    keeps: bool
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: bytes) -> RequestHead:
        """A head with its lines; they end with CR LF, or with LF alone.

        Raises:
            RequestError: it breaks HTTP, or asks for what there is not.
        """
        first, *lines = [line.removesuffix(b"\r") for line in text.lstrip(b"\r\n").split(b"\n")]
        request = _REQUEST.fullmatch(first)
        if request is None:
            raise _bad(400, f"request line {first[:60]!r} is not METHOD TARGET HTTP/1.1")
        fields = _fields(lines)
        if request[3] != b"1":
            raise _bad(505, "HTTP/1.0 and HTTP/1.1 only")
        if request[1] != b"PUT":
            raise _bad(405, f"{request[1][:20].decode()} is not PUT", ("Allow: PUT",))
        if len(request[2]) > MAX_TARGET:
            raise _bad(414, f"a name of {len(request[2])} characters; at most {MAX_TARGET}")
        length = _length(fields)
        expect = b",".join(fields.get(b"expect", ())).lower()
        if expect not in (b"", b"100-continue"):
            raise _bad(417, "Expect: 100-continue only")
        connection = {word.strip().lower() for line in fields.get(b"connection", ()) for word in line.split(b",")}
        is_old = request[4] == b"0"
        return cls(
            target=request[2].decode("ascii"),
            length=length,
            expects=bool(expect) and not is_old,
            keeps=b"close" not in connection and (not is_old or b"keep-alive" in connection),
            authorization=b",".join(fields.get(b"authorization", ())).decode("latin-1"),
        )


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise _bad(400, f"header line {line[:60]!r} is not NAME: VALUE")
        fields.setdefault(found[1].lower(), []).append(found[2].rstrip(b" \t"))
    return fields


def _length(fields: dict[bytes, list[bytes]]) -> int:
    given = {length.strip() for line in fields.get(b"content-length", ()) for length in line.split(b",")}
    if coding := b",".join(fields.get(b"transfer-encoding", ())).lower():
        if given:
            # Two lengths in one request: somebody between us and the client may believe the other one.
            raise _bad(400, "Content-Length and Transfer-Encoding exclude each other")
        if coding == b"chunked":
            raise _bad(411, "Content-Length is needed; chunks are not accepted")
        raise _bad(501, f"Transfer-Encoding: {coding[:40].decode('latin-1')} is not known")
    if not given:
        raise _bad(411, "Content-Length is needed")
    if len(given) > 1 or not (digits := given.pop()).isdigit() or len(digits) > 18:
        raise _bad(400, "Content-Length is not one number")
    return int(digits)


def _bad(status: int, text: str, headers: tuple[str, ...] = ()) -> RequestError:
    return RequestError(status, Receipt.PARSE_ERROR, text, headers)
