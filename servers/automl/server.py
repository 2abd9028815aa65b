"""The detector behind the REST API of an AutoML edge container."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from aiohttp import web
from PIL import Image

from devices.drivers.automl_message import HEALTH_PATH, PREDICT_PATH, detections_in, prediction
from devices.pipelines.loop.detect import detect
from devices.pipelines.loop.result import KINDS, LoopResult
from devices.pipelines.loop.settings import LoopSettings

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 32 << 20
MAX_PIXELS: Final = 20_000_000
MAX_INSTANCES: Final = 16
#: Questions that are answered or wait; the next is refused at once.
MAX_QUESTIONS: Final = 16
#: A client that takes longer to send a question is left, s.
BODY_TIMEOUT: Final = 10.0


class _WrongQuestion(Exception):
    """What the client sent is not a question; the text says why."""


class AutomlServer:
    """Serves the detector until closed.

    Args:
        settings: how loops are looked for; every box with a score is told, whatever its ``least_score``.
        workers: pictures that are looked at at the same time.
    Attributes:
        port: that it listens on; 0 before `start`.
        answered, refused: questions.
    """

    def __init__(self, settings: LoopSettings, *, workers: int = 1) -> None:
        self.port = self.answered = self.refused = 0
        self._settings = settings
        self._executor = ThreadPoolExecutor(workers, "automl")
        self._asked = 0
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        # The colon is part of the path, not of a pattern.
        app.router.add_post(PREDICT_PATH, self._predict)
        app.router.add_get(HEALTH_PATH, self._health)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self, port: int, host: str = "127.0.0.1") -> None:
        """Listen; 0: any free port.

        Raises:
            OSError: the port is taken.
        """
        # The first look loads the networks: no client waits for that.
        await self._in_thread(lambda: detect(np.full((64, 64), 200, np.uint8), self._settings))
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=64).start()
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _health(self, _: web.Request) -> web.Response:
        status = {"error_code": "OK", "error_message": ""}
        return web.json_response({"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": status}]})

    async def _predict(self, request: web.Request) -> web.Response:
        if self._asked >= MAX_QUESTIONS:
            return self._refusal(503, f"{self._asked} questions wait already")
        self._asked += 1
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await request.read()
            answer = await self._in_thread(lambda: self._answer(body))
        except _WrongQuestion as error:
            return self._refusal(400, str(error))
        except TimeoutError:
            return self._refusal(408, f"the question was not here after {BODY_TIMEOUT:g} s")
        except web.HTTPRequestEntityTooLarge:
            return self._refusal(413, f"a question has at most {MAX_BODY_BYTES} bytes")
        finally:
            self._asked -= 1
        self.answered += 1
        return web.json_response(answer)

    def _refusal(self, status: int, reason: str) -> web.Response:
        self.refused += 1
        log.info("a question is refused: %s", reason)
        return web.json_response({"error": reason}, status=status)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _answer(self, body: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise _WrongQuestion(f"this is not JSON: {error}") from error
        instances = asked.get("instances") if isinstance(asked, Mapping) else None
        if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_INSTANCES:
            raise _WrongQuestion(f"instances must be a list of 1 to {MAX_INSTANCES}")
        count = _max_boxes(asked.get("params"))
        return {"predictions": [self._prediction(instance, count) for instance in instances]}

    def _prediction(self, instance: object, max_boxes: int) -> dict[str, Any]:
        image = instance.get("image_bytes") if isinstance(instance, Mapping) else None
        text = image.get("b64") if isinstance(image, Mapping) else None
        key = instance.get("key") if isinstance(instance, Mapping) else None
        if not isinstance(text, str) or not isinstance(key, str | None):
            raise _WrongQuestion('an instance is {"image_bytes": {"b64": TEXT}, "key": TEXT}')
        result = self._look(text)
        best = sorted(detections_in(result, self._settings.pin_side), key=lambda detection: -detection.score)[
            :max_boxes
        ]
        return prediction(best, key, KINDS)

    def _look(self, text: str) -> LoopResult:
        try:
            packed = base64.b64decode(text, validate=True)
            with Image.open(io.BytesIO(packed), formats=("JPEG", "PNG")) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise _WrongQuestion(f"a picture has at most {MAX_PIXELS} pixels, not {picture.size}")
                return detect(np.asarray(picture.convert("L")), self._settings)
        except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise _WrongQuestion(f"this is no JPEG or PNG picture: {error}") from error


def _max_boxes(params: object) -> int:
    """How many boxes a client wants at most; 10 if it does not say."""
    first = params[0] if isinstance(params, list) and params else params
    wanted = first.get("max_bounding_box_count", "10") if isinstance(first, Mapping) else "10"
    try:
        return max(int(wanted), 1)
    except (TypeError, ValueError, OverflowError) as error:
        raise _WrongQuestion(f"max_bounding_box_count must be a number, not {wanted!r:.40}") from error
