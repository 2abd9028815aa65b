"""An ASCOM Alpaca server as a client sees it: questions with transaction numbers, answers with error numbers."""

from __future__ import annotations

import builtins
import itertools
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from devices.core.errors import NotConnectedError, ProtocolError, RefusedError, TimeoutError
from devices.core.json_text import read_json_text
from devices.drivers.alpaca_errors import error_of
from devices.drivers.image_bytes import MEDIA_TYPE

#: A longer answer is not read: the longest one that is no picture has 100 kB.
MOST_ANSWER_BYTES: Final = 1 << 22
#: As text, a picture of 16 million pixels has 100 MB.
MOST_PICTURE_BYTES: Final = 1 << 31
_LARGEST_TRANSACTION: Final = 0xFFFF_FFFF

#: Called while a picture comes: bytes so far, and all of them (None: the server does not say).
Progress = Callable[[int, int | None], None]
Parameter = str | int | float | bool


@dataclass(frozen=True)
class ConfiguredDevice:
    """A device that a server has: its name, its kind (``camera``), its number among those of its kind."""

    name: str
    kind: str
    number: int


class AlpacaServer:
    """An Alpaca server, asked by one loop; several questions may be under way.

    Args:
        timeout: of one question, s; of a picture: how long nothing of it may come.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 5.0) -> None:
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._timeout = timeout
        self._client_id = 1 + secrets.randbelow(0xFFFF)
        self._transactions = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, **parameters: Parameter) -> object:
        """The value of a member, e.g. ``api/v1/camera/0/binx``.

        Raises:
            NotConnectedError: nobody answers there, or the server has no link to its device.
            TimeoutError: no answer in time.
            ProtocolError: the answer is not Alpaca's.
            RefusedError: the server knows no such member, or its driver failed.
            DiptychError: as `devices.drivers.alpaca_errors` says.
        """
        return await self._ask("GET", path, None, parameters)

    async def put(self, path: str, timeout: float | None = None, **parameters: Parameter) -> object:
        """Set a member, or call it; what it returns. Names of parameters are as in Alpaca's documents, ``BinX``.

        Raises:
            DiptychError: as `get`.
        """
        return await self._ask("PUT", path, timeout, parameters)

    async def picture(self, path: str, progress: Progress | None = None) -> tuple[bytearray, bool, int]:
        """The bytes of a picture as they came, whether they are ImageBytes (if not, JSON), the number of the question.

        Raises:
            DiptychError: as `get`; errors that stand in the picture itself are for who decodes it.
        """
        transaction = self._next()
        question = {"ClientID": self._client_id, "ClientTransactionID": transaction}
        limit = aiohttp.ClientTimeout(total=None, connect=self._timeout, sock_read=self._timeout)
        headers = {"Accept": f"{MEDIA_TYPE}, application/json;q=0.5"}
        content, kind = await self._request(
            "GET", path, limit, MOST_PICTURE_BYTES, progress, params=question, headers=headers
        )
        return content, kind == MEDIA_TYPE, transaction

    async def devices(self) -> list[ConfiguredDevice]:
        """What the server has.

        Raises:
            DiptychError: as `get`.
        """
        found = await self.get("management/v1/configureddevices")
        try:
            assert isinstance(found, list)
            return [
                ConfiguredDevice(str(each["DeviceName"]), str(each["DeviceType"]).casefold(), int(each["DeviceNumber"]))
                for each in found
            ]
        except (AssertionError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(f"Alpaca {self.address} describes its devices as {str(found)[:200]}") from error

    async def close(self) -> None:
        """End the connections; the hardware is left as it is."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _next(self) -> int:
        return next(self._transactions) % _LARGEST_TRANSACTION + 1

    async def _ask(self, method: str, path: str, timeout: float | None, parameters: Mapping[str, Parameter]) -> object:
        transaction = self._next()
        # As Alpaca writes them: True and False, a point in numbers.
        words = {name: str(value) for name, value in parameters.items()}
        words |= {"ClientID": str(self._client_id), "ClientTransactionID": str(transaction)}
        limit = aiohttp.ClientTimeout(self._timeout if timeout is None else timeout)
        where = {"params": words} if method == "GET" else {"data": words}
        content, _ = await self._request(method, path, limit, MOST_ANSWER_BYTES, None, **where)
        subject = f"Alpaca {self.address}/{path}"
        try:
            answer = read_json_text(content)
            number, echo = int(answer["ErrorNumber"]), int(answer.get("ClientTransactionID", transaction))
            text = str(answer.get("ErrorMessage", ""))
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise ProtocolError(f"{subject} answers what is not Alpaca's: {bytes(content[:80])!r}") from error
        check_transaction(echo, transaction, subject)
        if number:
            raise error_of(number, text, subject)
        return answer.get("Value")

    async def _request(
        self,
        method: str,
        path: str,
        limit: aiohttp.ClientTimeout,
        most: int,
        progress: Progress | None,
        **words: Any,
    ) -> tuple[bytearray, str]:
        """The body of an answer, and its media type."""
        if self._session is None:
            # The settings of a proxy in the shell are not followed.
            self._session = aiohttp.ClientSession(trust_env=False, read_bufsize=1 << 20)
        subject = f"Alpaca {self.address}/{path}"
        content = bytearray()
        try:
            async with self._session.request(
                method, f"http://{self.address}/{path}", timeout=limit, allow_redirects=False, **words
            ) as response:
                async for part in response.content.iter_any():
                    content += part
                    if len(content) > most:
                        response.close()
                        raise ProtocolError(f"{subject} answers with more than {most} bytes")
                    if progress is not None:
                        progress(len(content), response.content_length)
                status, kind = response.status, response.content_type
        except builtins.TimeoutError as error:
            seconds = limit.total or limit.sock_read
            raise TimeoutError(f"{subject} did not answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotConnectedError(f"{subject}: {error or type(error).__name__}") from error
        if status != 200:
            text = content[:200].decode(errors="replace")
            raise RefusedError(f"{subject} answers HTTP {status}: {text}")
        return content, kind


def check_transaction(echo: int, transaction: int, subject: str) -> None:
    """Refuse the answer to another question."""
    if echo != transaction:
        raise ProtocolError(f"{subject} answers transaction {echo} when asked {transaction}")
