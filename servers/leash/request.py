"""From the parts of a message to a request that may be carried out: JSON, schema, time, signature, in this order."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from devices.core.errors import BadValueError, RangeError
from devices.core.quick_jsonschema import jsonschema
from devices.saxs.results import Attachment
from servers.leash.signature import Gatekeeper

#: How deep the JSON of a request may be nested: a calibration has six levels.
DEPTH: Final = 32


class RequestSchemaError(BadValueError):
    """A request is JSON, but none that the schema knows."""


@dataclass(frozen=True)
class Limits:
    """What a message may hold, bytes; one that holds more is answered with an error.

    Attributes:
        request: the JSON of the request.
        attachment: one attachment as it travels: each byte of a mask may become six of JSON.
        message: all parts together.
        parts: how many there are.
    """

    request: int = 1 << 20
    attachment: int = 128 << 20
    message: int = 256 << 20
    parts: int = 65

    def check(self, parts: Sequence[bytes]) -> None:
        """Raises:
        RangeError: there is too much.
        """
        if not 1 <= len(parts) <= self.parts:
            raise RangeError(f"the message has {len(parts)} parts, outside of [1, {self.parts}]")
        bounds = {"the request": (len(parts[0]), self.request), "the message": (sum(map(len, parts)), self.message)}
        bounds |= {f"attachment {place}": (len(part), self.attachment) for place, part in enumerate(parts[1:], 1)}
        for what, (size, bound) in bounds.items():
            if size > bound:
                raise RangeError(f"{what} has {size} bytes, more than {bound}")


@dataclass(frozen=True)
class Request:
    """A request that was let in, with the attachments as they came: nobody has looked into them yet."""

    command: str
    argument: Mapping[str, Any]
    attachments: tuple[bytes, ...] = ()

    def files(self, encoding: str) -> tuple[Attachment, ...]:
        """The files that are attached.

        Args:
            encoding: how their bytes became text at the client: ``latin-1`` for masks, ``utf-8`` for logs.

        Raises:
            BadValueError: one is no file, or not the one that was signed.
        """
        self._check_digests()
        return tuple(_file(number, part, encoding) for number, part in enumerate(self.attachments, 1))

    def _check_digests(self) -> None:
        """Our own clients sign what their attachments hash to; others attach what nobody signed."""
        signed = self.argument.get("data", {}).get("attachments")
        if signed is None:
            return
        found = attachment_digests(self.attachments)
        if not isinstance(signed, list) or not hmac.compare_digest(json.dumps(signed), json.dumps(found)):
            raise BadValueError("the attachments are not those that were signed")


def attachment_digests(parts: Sequence[bytes]) -> list[str]:
    """What a client signs of its attachments: their SHA-512."""
    return [hashlib.sha512(part).hexdigest() for part in parts]


def parse_request(parts: Sequence[bytes], gatekeeper: Gatekeeper, limits: Limits) -> Request:
    """A request from the parts of its message.

    Raises:
        RangeError: it is too large, or nested too deeply.
        ValueError: it is no JSON, or no UTF-8.
        RequestSchemaError: it is none that the schema knows.
        NotAllowedError: it is untimely, wrongly signed, or was received before.
        KeyError: ``time`` or ``sign`` is missing.
    """
    limits.check(parts)
    try:
        document = json.loads(parts[0].decode())
    except RecursionError:
        raise _too_deep() from None
    if any(depth > DEPTH for depth in _depths(document)):
        raise _too_deep()
    error = jsonschema.exceptions.best_match(_validator().iter_errors(document))
    if error is not None:
        where = "".join(f"{key}: " for key in error.absolute_path)
        raise RequestSchemaError(f"{where}{error.message[:200]}")
    gatekeeper.admit(document)
    return Request(document["command"], document.get("argument", {}), tuple(parts[1:]))


def read_schema(name: str) -> Any:
    """One of the schemas of this package: ``request``, ``reply``, ``network``."""
    return json.loads(resources.files("servers.leash").joinpath(f"{name}.schema.json").read_text())


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(read_schema("request"))


def _too_deep() -> RangeError:
    return RangeError(f"the request is nested more than {DEPTH} levels deep")


def _depths(document: object) -> Iterator[int]:
    """The depth of every list and object in a document; no recursion, for it may be nested deeply."""
    waiting: list[tuple[object, int]] = [(document, 1)]
    while waiting:
        found, depth = waiting.pop()
        if isinstance(found, list | dict):
            yield depth
            waiting += [(each, depth + 1) for each in (found.values() if isinstance(found, dict) else found)]


def _file(number: int, part: bytes, encoding: str) -> Attachment:
    try:
        document = json.loads(part.decode())
        if not isinstance(document, dict):
            raise TypeError
        name, data = document["filename"], document["data"]
        if not (isinstance(name, str) and isinstance(data, str)):
            raise TypeError
        return Attachment(name, data.encode(encoding))
    except (KeyError, TypeError, RecursionError):
        problem = 'not {"filename": text, "data": text}'
    except UnicodeEncodeError as error:
        problem = f"character {error.start} of its data is no byte" if encoding == "latin-1" else str(error)
    except ValueError as error:
        problem = f"not JSON: {error}"
    raise BadValueError(f"attachment {number}: {problem}")
