"""The exposure of a CCD camera: the device that observers and sequencers talk to."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypeVar

from devices.ccd.exposure_engine import ExposureEngine
from devices.ccd.exposure_quick_look import ExposureQuickLook
from devices.ccd.exposure_settings import Flushing, Seconds, Title, TypeName
from devices.ccd.exposure_state import ExposureState
from devices.ccd.focus_run import Focuser, FocusRun
from devices.ccd.plan import Exposure, Plan
from devices.core import Argument, Operation, command, operation
from devices.core.errors import BusyError, NotAllowedError, NotConnectedError, RangeError
from devices.pipelines.ccd.ccd_image import CcdImage

T = TypeVar("T")
#: A device that was started has its memorized settings after a moment, s: every poll is tried first.
SETTINGS_SECONDS = 10.0
Count = Annotated[int, Argument(limits=(-1, 1_000_000), doc="-1: as it is set")]


class CcdExposure(ExposureQuickLook):
    """A CCD camera's exposures: single ones, sequences, guiding, tests, focus runs, or step by step.

    One exposure at a time. Whatever fails, and whenever it is aborted, the camera comes back to Idle; an image that was
    read is never lost (``rescue``).
    """

    def build(self) -> None:
        super().build()
        self.engine = ExposureEngine(self.scene, self.log)
        self._stops = asyncio.Event()

    async def connect(self) -> None:
        await self.restore_detector()
        await self.find_unsaved()
        self.find_type("zero")

    def last_image(self) -> CcdImage | None:
        return None if self.engine.exposure is None else self.engine.exposure.image

    # Exposures -----------------------------------------------------------------------------------------------------

    @operation(group="Exposure")
    async def expose(
        self, run: Operation, seconds: Seconds = -1.0, image_type: TypeName = "", title: Title = ""
    ) -> dict[str, Any]:
        """Take an image: integrate, read out, write. What is left out is as it is set."""
        await self._ready()
        await self.take_over(seconds, image_type, title)
        return self._result(await self._take(run, self.plan()))

    @operation(group="Sequence")
    async def sequence(
        self,
        run: Operation,
        count: Count = -1,
        flush: Annotated[int, Argument(limits=(-1, 2), doc="0 each, 1 the first, 2 none; -1: as it is set")] = -1,
        delay: Annotated[float, Argument(unit="s", limits=(-1.0, 86400.0), doc="-1: as it is set")] = -1.0,
    ) -> dict[str, Any]:
        """Take several images one after the other; `stop_sequence` ends it after an image, `abort` at once."""
        await self._ready()
        if count == 0:
            raise RangeError("count = 0 is outside [1, 1000000]")
        if count > 0:
            await self.put("sequence_total", count)
        if flush >= 0:
            await self.put("sequence_flush", flush)
        if delay >= 0.0:
            await self.put("sequence_delay", delay)
        total, wait = self.sequence_total.value, self.sequence_delay.value
        flushing = self.sequence_flush.value
        self._stops.clear()
        self.is_sequence.publish(True)
        files: list[str] = []
        try:
            for index in range(total):
                self.sequence_number.publish(index + 1)
                flushes = flushing is Flushing.EACH or (flushing is Flushing.FIRST and index == 0)
                plan = self.plan(flushes=flushes, lamps_on=index > 0, keeps_lamps=index < total - 1)
                exposure = await self._take(run, plan, index / total, 1.0 / total)
                files.append("" if exposure.plan.target is None else str(exposure.plan.target.path))
                if index < total - 1 and await self._stopped_within(wait):
                    break
        finally:
            self.is_sequence.publish(False)
            if (instrument := self.scene.instrument) is not None:
                await instrument.switch_lamps(False)
        return {"images": len(files), "files": files, "stopped": len(files) < total}

    @operation(group="Sequence")
    async def guide(self, run: Operation, count: Count = -1) -> dict[str, Any]:
        """Take images of type object again and again; -1: until `stop_sequence` or `abort`."""
        await self._ready()
        self._stops.clear()
        self.is_guiding.publish(True)
        taken = 0
        try:
            while taken != count and not self._stops.is_set():
                await self._take(run, self.plan(name="object", title="guide image"), 0.0, 0.0)
                taken += 1
                run.report(message=f"{taken} guide images")
        finally:
            self.is_guiding.publish(False)
        return {"images": taken}

    @operation(group="Exposure")
    async def test(self, run: Operation, seconds: Seconds = -1.0, open_shutter: bool = False) -> dict[str, Any]:
        """Take a test image, named test and overwritten each time; all settings stay."""
        await self._ready()
        self._check_seconds(seconds)
        name = "object" if open_shutter else "dark"
        wanted = None if seconds < 0.0 else seconds
        plan = self.plan(seconds=wanted, name=name, title="test image", is_test=True)
        return self._result(await self._take(run, plan))

    # Step by step --------------------------------------------------------------------------------------------------

    @operation(group="Steps")
    async def begin(
        self, run: Operation, seconds: Seconds = -1.0, image_type: TypeName = "", title: Title = ""
    ) -> None:
        """Prepare an exposure: lamps, headers, detector cleared; `integrate` follows, or `abort`."""
        await self._ready()
        await self.take_over(seconds, image_type, title)
        await self.reporting(run, self._begin(self.plan()))

    @operation(group="Steps")
    async def integrate(self, run: Operation) -> None:
        """Collect light."""
        await self.reporting(run, self.engine.integrate())

    @operation(group="Steps")
    async def readout(self, run: Operation) -> None:
        """Read the detector out."""
        await self.reporting(run, self.engine.readout())

    @operation(group="Steps")
    async def end(self, run: Operation) -> dict[str, Any]:
        """Write the image."""
        await self.reporting(run, self.engine.end())
        assert self.engine.exposure is not None
        return self._result(self.engine.exposure)

    @operation(group="Focus")
    async def focus_run(
        self,
        run: Operation,
        seconds: Seconds = -1.0,
        steps: Annotated[int, Argument(limits=(2, 100))] = 7,
        step: Annotated[float, Argument(limits=(-100_000.0, 100_000.0), doc="Of the focus")] = 30.0,
        shift: Annotated[int, Argument(unit="px", limits=(-10_000, 10_000), doc="Rows between two stars")] = 10,
        focuser: Focuser = Focuser.INSTRUMENT,
    ) -> dict[str, Any]:
        """Take one image with several exposures at different focus, shifted by rows; the last one by twice as many."""
        await self._ready()
        self._check_seconds(seconds)
        wanted = None if seconds < 0.0 else seconds
        plan = self.plan(seconds=wanted, name="object", title="focus run", keeps_lamps=False)
        focus = FocusRun(self.scene, focuser, steps, step, shift)
        focus.check()
        positions = await self.reporting(run, focus.take(self.engine, self._begin(plan), run))
        assert self.engine.exposure is not None
        return {**self._result(self.engine.exposure), "positions": positions}

    # While one runs ------------------------------------------------------------------------------------------------

    @command(group="Exposure")
    async def pause(self) -> None:
        """Shut the shutter and stop the clock."""
        await self.engine.pause()

    @command(group="Exposure")
    async def resume(self) -> None:
        """Go on after a pause."""
        await self.engine.resume()

    @command(group="Exposure")
    async def start_readout(self) -> None:
        """End the integration now; the image is read out and written as usual."""
        await self.engine.start_readout()

    @command(stops=True, group="Sequence")
    async def stop_sequence(self) -> None:
        """End a sequence, or guiding, after the image that is being taken."""
        if not (self.is_sequence.value or self.is_guiding.value):
            raise NotAllowedError("neither a sequence nor guiding runs")
        self._stops.set()

    async def aborted(self) -> None:
        """Also end an exposure that goes step by step, between two of them."""
        if not self.operations.active:
            await self.engine.abandon()

    # The controller outside an exposure ----------------------------------------------------------------------------

    @operation(group="Controller")
    async def flush(self, run: Operation, cycles: Annotated[int, Argument(limits=(1, 1000))] = 1) -> None:
        """Clear the detector."""
        self.engine.check_idle()
        with self.scene.taken() as controller:
            await controller.clear(cycles)

    @operation(group="Controller")
    async def parshift(self, run: Operation, rows: Annotated[int, Argument(limits=(-100_000, 100_000))]) -> None:
        """Shift the charge by rows, also between begin, integrate and readout; negative: backwards."""
        if self.engine.state in (ExposureState.READY, ExposureState.EXPOSED):
            await self.scene.controller.shift(rows)
            return
        self.engine.check_idle()
        with self.scene.taken() as controller:
            await controller.shift(rows)

    @command(group="Controller")
    async def set_shutter(
        self, is_open: bool, shutter: Annotated[int, Argument(limits=(0, 1), doc="0 controller, 1 instrument")] = 0
    ) -> None:
        """Open or shut a shutter, outside an exposure."""
        self.engine.check_idle()
        if shutter == 0:
            if self.scene.controller.used_by.value:
                raise BusyError(f"the controller is used by {self.scene.controller.used_by.value}")
            await self.scene.controller.move_shutter(is_open)
        elif (instrument := self.scene.instrument) is not None:
            await instrument.open_shutter(is_open)
        else:
            raise NotAllowedError("there is no instrument")

    @command(group="Header")
    async def update_headers(self) -> None:
        """Ask all tools anew for what stands in their headers, as each exposure does."""
        for tool in self.scene.tools().values():
            await tool.update_header()

    async def initialize_now(self) -> None:
        """With the tools of tools_init."""
        self.engine.check_idle()
        await self._each(self.properties.tools_init, "initialize")

    async def reset_now(self) -> None:
        """With the tools of tools_reset."""
        self.engine.check_idle()
        await self._each(self.properties.tools_reset, "reset")

    async def _each(self, names: tuple[str, ...], what: str) -> None:
        tools = self.scene.tools()
        for name in names:
            if name not in tools:
                raise NotAllowedError(f"{what}: there is no tool {name}; there are {', '.join(tools)}")
            tool = tools[name]
            await (tool.initialize_now() if what == "initialize" else tool.reset_now())

    # How it is done ------------------------------------------------------------------------------------------------

    async def _ready(self) -> None:
        """Wait until names and settings are those of before the start, then refuse what another exposure forbids.

        Raises:
            BusyError: an exposure is under way.
            NotConnectedError: the settings did not come in time.
        """
        try:
            async with asyncio.timeout(SETTINGS_SECONDS):
                await self.restored.wait()
        except TimeoutError:
            text = f"{self.name} has just started: no memorized settings within {SETTINGS_SECONDS:g} s"
            raise NotConnectedError(text) from None
        self.engine.check_idle()

    def _check_seconds(self, seconds: float) -> None:
        if seconds > self.properties.longest:
            raise RangeError(f"seconds = {seconds} s is outside [0.0, {self.properties.longest}] s")

    async def _begin(self, plan: Plan) -> Exposure:
        self.engine.check_idle()
        self.scene.take()
        self.completed.publish(False)
        self.last_error.publish("")
        return await self.engine.begin(plan)

    async def _take(self, run: Operation, plan: Plan, done: float = 0.0, share: float = 1.0) -> Exposure:
        async def work() -> Exposure:
            await self._begin(plan)
            await self.engine.integrate()
            await self.engine.readout()
            await self.engine.end()
            assert self.engine.exposure is not None
            return self.engine.exposure

        return await self.reporting(run, work(), done, share)

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait between two images; True when somebody ends the sequence."""
        try:
            await asyncio.wait_for(self._stops.wait(), seconds)
        except TimeoutError:
            return self._stops.is_set()
        return True

    def _result(self, exposure: Exposure) -> dict[str, Any]:
        target = exposure.plan.target
        return {
            "file": "" if target is None else str(target.path),
            "number": self.last_number.value,
            "exposure_time": exposure.exposure_time,
            "image_type": exposure.plan.image_type.name,
            "problems": exposure.problems,
        }
