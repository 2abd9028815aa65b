"""A client of an AutoML object detection service that finds loops."""

from __future__ import annotations

import builtins
import json
from typing import Final

import aiohttp

from devices.core.errors import NotConnectedError, ProtocolError, RefusedError, TimeoutError
from devices.core.json_text import read_json_text
from devices.drivers.automl_message import HEALTH_PATH, PREDICT_PATH, detections_of, question, result_of
from devices.pipelines.loop.result import LoopResult

#: A longer answer is not read: one of ten boxes has 2 kB.
MAX_ANSWER_BYTES: Final = 1 << 20


class AutomlClient:
    """Finds loops by a service elsewhere, several pictures at a time.

    Args:
        address: HOST:PORT.
        threshold: least score of a loop, 0 to 1.
        scanned: how many of the best boxes are looked at.
        timeout: of one question, s.
    """

    def __init__(self, address: str, *, threshold: float = 0.05, scanned: int = 5, timeout: float = 5.0) -> None:
        self.address = address
        self._threshold, self._scanned, self._timeout = threshold, scanned, timeout
        self._session: aiohttp.ClientSession | None = None

    async def find(self, packed: bytes, key: str) -> LoopResult:
        """The loop in a JPEG or PNG picture.

        Args:
            key: comes back with the answer, ``operation:handle:index``.
        Raises:
            NotConnectedError: nobody answers there.
            TimeoutError: no answer in time.
            RefusedError: the service cannot take it, with its reason.
            ProtocolError: the answer is not that of such a service.
        """
        asked = question(packed, key, max(2 * self._scanned, 10))
        answer = await self._request("POST", PREDICT_PATH, json.dumps(asked).encode())
        return result_of(detections_of(answer, key), self._threshold, self._scanned)

    async def healthy(self) -> bool:
        """Whether the service says that its model is there; False, too, when nobody answers."""
        try:
            await self._request("GET", HEALTH_PATH, None)
        except (NotConnectedError, TimeoutError, RefusedError, ProtocolError):
            return False
        return True

    async def close(self) -> None:
        """End its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _request(self, method: str, path: str, body: bytes | None) -> object:
        if self._session is None:
            # The settings of a proxy in the shell are not followed.
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(self._timeout), trust_env=False)
        url = f"http://{self.address}{path}"
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await self._content(response)
                status = response.status
        except builtins.TimeoutError as error:
            raise TimeoutError(f"AutoML {self.address} did not answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotConnectedError(f"AutoML {self.address}: {error or type(error).__name__}") from error
        if status != 200:
            raise RefusedError(f"AutoML {self.address} answers {status}: {content[:200].decode(errors='replace')}")
        try:
            answer: object = read_json_text(content)
        except ValueError as error:  # a wrong encoding as well
            raise ProtocolError(f"AutoML {self.address} answers what is not JSON: {content[:80]!r}") from error
        return answer

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for part in response.content.iter_chunked(1 << 16):
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                response.close()
                raise ProtocolError(f"AutoML {self.address} answers with more than {MAX_ANSWER_BYTES} bytes")
        return bytes(content)
