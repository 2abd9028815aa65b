"""Run a device inside a test, and wait with a deadline for what it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from devices.core import Device
from devices.core.memorized import Store

D = TypeVar("D", bound=Device)


@asynccontextmanager
async def running(device: D, store: Store | None = None) -> AsyncIterator[D]:
    """The device, started; it is stopped at the end."""
    await device.start(store)
    try:
        yield device
    finally:
        await device.stop()


async def until(true: Callable[[], Any], what: str = "", seconds: float = 5.0) -> Any:
    """Wait until ``true()`` holds, and return what it gave; fails with the last value after ``seconds`` s."""
    deadline = time.monotonic() + seconds
    while not (last := true()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what} (last: {last!r})"
        await asyncio.sleep(0.002)
    return last
