"""A set point that is reached when the reading that follows it has come to rest."""

import asyncio
import time
from dataclasses import dataclass
from functools import cached_property

from ophyd_async.core import MovableLogic, SignalR, SignalRW, StandardMovable, StandardReadable, TimeoutCalculator
from ophyd_async.core import StandardReadableFormat as Format

# what follows stands in generated files

LOOK_SECONDS = 0.1
LOST_SECONDS = 10.0  # a server that dies is started again, and answers, within less


@dataclass
class Settling(MovableLogic[float]):
    """A move ends when the reading has been within ``tolerance`` of its target for ``settle`` seconds on end.

    It fails when the reading has been INVALID, or could not be had, for LOST_SECONDS on end.
    """

    tolerance: float
    settle: float

    async def stop(self) -> None:
        """Hold where it is now."""
        await self.setpoint.set(await self.readback.get_value())

    async def move(self, new_position: float, timeout: TimeoutCalculator) -> None:
        await self.setpoint.set(new_position)
        async with asyncio.timeout(timeout()):
            since, seen = None, time.monotonic()
            while since is None or time.monotonic() - since < self.settle:
                await asyncio.sleep(LOOK_SECONDS)
                value, why = await self._look()
                if value is not None:
                    seen = time.monotonic()
                elif time.monotonic() - seen > LOST_SECONDS:
                    raise RuntimeError(f"{self.readback.name} has been INVALID for {LOST_SECONDS:g} s") from why
                if value is None or abs(value - new_position) > self.tolerance:
                    since = None
                elif since is None:
                    since = time.monotonic()

    async def _look(self) -> tuple[float | None, Exception | None]:
        """The present reading, or None; and why it could not be had."""
        try:
            (reading,) = (await self.readback.read(cached=False)).values()
        except Exception as error:
            return None, error
        return (None if reading.get("alarm_severity", 0) < 0 else reading["value"]), None  # Tango: INVALID is None


class SetPoint(StandardReadable, StandardMovable[float]):
    """A set point with the reading that follows it; ``stop`` during a move has it hold at the present reading.

    A move takes as long as it needs, unless ``set`` is given a timeout (s).
    """

    def __init__(
        self, setpoint: SignalRW[float], readback: SignalR[float], tolerance: float, settle: float, name: str = ""
    ) -> None:
        self.tolerance, self.settle = tolerance, settle
        with self.add_children_as_readables(Format.HINTED_SIGNAL):
            self.readback = readback
        with self.add_children_as_readables():
            self.setpoint = setpoint
        super().__init__(name=name)

    @cached_property
    def movable_logic(self) -> Settling:
        return Settling(self.setpoint, self.readback, self.tolerance, self.settle)

    async def stop(self, success: bool = False) -> None:
        if self._move_status is not None:  # the run engine stops all it has moved, also at a good end
            await super().stop(success)  # type: ignore[no-untyped-call]
