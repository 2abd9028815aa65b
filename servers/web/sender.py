"""The task of a socket that sends what is new by itself, beside the one that answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from aiohttp import web

log = logging.getLogger(__name__)


def start(sending: Coroutine[Any, Any, None], answer: web.WebSocketResponse) -> asyncio.Task[None]:
    """Begin to send; the socket is closed when that fails, and the page connects again."""

    async def guarded() -> None:
        try:
            await sending
        except ConnectionError:
            pass  # the page has left
        except Exception:
            log.exception("a web-socket could not send")
            with suppress(ConnectionError):
                await answer.close(code=1011)

    return asyncio.create_task(guarded())
