"""The auto-tuning of a CryoCon: the instrument finds the gains, the operation waits and takes them over."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from devices.core import Argument, Operation, operation
from devices.core.errors import DiptychError, NotAllowedError, NotConnectedError, RefusedError, TimeoutError
from devices.cryocon.instrument import Instrument
from devices.drivers.cryocon_subsystems import Autotune, AutotuneMode, AutotuneStatus

#: How much later than the instrument itself we give up, s.
GRACE = 10.0

LoopNumber = Annotated[int, Argument(limits=(1, 4), doc="Number of a loop")]
Step = Annotated[float, Argument(unit="%", limits=(1.0, 100.0), doc="Largest change of the output")]
Timeout = Annotated[float, Argument(unit="s", limits=(1.0, 86400.0), doc="After this the instrument gives up")]


class Tuning(Instrument):
    """Auto-tuning."""

    @operation(dangerous=True)
    async def auto_tune(
        self,
        run: Operation,
        loop: LoopNumber,
        mode: AutotuneMode = AutotuneMode.PID,
        delta_power: Step = 5.0,
        timeout: Timeout = 600.0,
        save: bool = True,
    ) -> dict[str, Any]:
        """Let the instrument find the gains of a loop; with ``save`` they are taken over and it goes on in PID.

        A lost link is waited for; an abort, a failure, and an end without ``save`` leave the loop as it was.
        """
        if str(loop) not in self.loops:
            raise NotAllowedError(f"loop = {loop} is none of {', '.join(self.loops) or 'nothing: it has no loops'}")
        if not self.control.value:
            raise NotAllowedError("auto_tune needs the loops in control: run control_on first")
        tune = self.driver.loops[loop].autotune
        await tune.mode.write(mode)
        await tune.delta_power.write(delta_power)
        await tune.timeout.write(timeout)
        saved = False
        try:
            run.report(0.0, f"loop {loop} is being tuned")
            await tune.start()
            await self._tuned(run, tune, loop, timeout)
            gains = {name: await getattr(tune, name).read() for name in ("p_gain", "i_gain", "d_gain")}
            if save:
                await tune.save()
                saved = True
        finally:
            # Aborted, failed, or done but not wanted: the instrument must not go on stepping or holding the heater.
            if not saved:
                await self._end(tune, loop)
            self.unread.add(self.loops[str(loop)])
        run.report(100.0, f"loop {loop} is tuned")
        return {"loop": loop, **gains, "saved": saved}

    async def _tuned(self, run: Operation, tune: Autotune, loop: int, timeout: float) -> None:
        began, was_running, said = time.monotonic(), False, ""
        while True:
            status: AutotuneStatus | None = None
            try:
                status = await tune.status.read()
                said = status.lower()
            except (NotConnectedError, TimeoutError) as error:
                said = f"no answer ({error})"
            elapsed = time.monotonic() - began
            was_running |= status is AutotuneStatus.RUNNING
            if status is AutotuneStatus.COMPLETE:
                return
            if status in (AutotuneStatus.FAILED, AutotuneStatus.ABORT) or (
                status is AutotuneStatus.IDLE and was_running
            ):
                raise RefusedError(f"auto-tune of loop {loop} ended as {status} after {elapsed:.0f} s")
            if elapsed > timeout + GRACE:
                raise TimeoutError(f"auto-tune of loop {loop}: {said} after {elapsed:.0f} s")
            run.report(min(99.0, 100.0 * elapsed / timeout), f"loop {loop}: {said}, {elapsed:.0f} s")
            await asyncio.sleep(self.properties.period)

    async def _end(self, tune: Autotune, loop: int) -> None:
        try:
            await tune.exit()
        except DiptychError as error:
            # The reason why the operation ends is another one, and must not be hidden by this.
            self.log.error("auto-tune of loop %d may still run in the instrument: %s", loop, error)
