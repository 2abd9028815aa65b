"""The state machine of an exposure: begin, integrate, read out; and what may be asked of it meanwhile."""

from __future__ import annotations

import asyncio
import builtins
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from devices.ccd.controller_link import ControllerLink
from devices.ccd.exposure_scene import Scene
from devices.ccd.exposure_state import ExposureState, Request, Wish
from devices.ccd.plan import Exposure, Plan
from devices.core.errors import BusyError, NotAllowedError, ProtocolError, TimeoutError, reason
from devices.core.live import ended_in_time

#: How often the remaining time is asked for, s; requests are heard at once.
TICK: Final = 0.1
#: An integration that is late by so much will never end, s.
LATEST: Final = 30.0
#: After a failure or an abort each thing that must come to rest has so much time, s: an operation has 5 s to stop.
RECOVERY: Final = 2.0


class ExposureEngine:
    """One exposure at a time.

    States say what the camera does; a `Request` is what somebody wants, kept apart, and answered. Whatever fails or is
    aborted at whatever stage: controller, shutters and lamps are brought to rest and the state is IDLE again.
    """

    def __init__(self, scene: Scene, log: logging.Logger) -> None:
        self.state = ExposureState.IDLE
        self.exposure: Exposure | None = None
        self._scene = scene
        self._log = log
        self._requests: asyncio.Queue[Request] = asyncio.Queue()

    async def begin(self, plan: Plan) -> Exposure:
        """Prepare an exposure: lamps, headers, detector cleared.

        Raises:
            BusyError: another one is under way.
        """
        self.check_idle()
        exposure = self.exposure = Exposure(plan)
        async with self._stage(exposure, ExposureState.SETUP, ExposureState.READY):
            await self._scene.prepare(exposure)
            link = self._scene.link()
            await link.set_geometry(plan.geometry)
            if plan.row_delay is not None:
                await link.set_row_delay(plan.row_delay)
            if plan.flushes and link.capabilities.flushes:
                await link.flush(plan.flushes)
        return exposure

    def check_idle(self) -> None:
        """Refuse what needs the camera for itself.

        Raises:
            BusyError: an exposure is under way.
        """
        if self.state is not ExposureState.IDLE:
            raise BusyError(f"an exposure is under way: {self.state.value}; abort ends it")

    async def integrate(self) -> None:
        """Collect light, or darkness; may follow itself before the read-out."""
        exposure = self._at("integrate", ExposureState.READY, ExposureState.EXPOSED)
        plan = exposure.plan
        async with self._stage(exposure, ExposureState.EXPOSING, ExposureState.EXPOSED):
            link = self._scene.link()
            opens = plan.image_type.opens_shutter
            began, paused = time.time(), exposure.paused
            exposure.began = exposure.began or began
            await link.start_exposure(plan.seconds, opens)
            if opens:
                await self._scene.open_shutter(exposure, True)
            ended_early = await self._integrate(exposure, link)
            exposure.ended = time.time()
            if opens:
                await self._scene.open_shutter(exposure, False)
            # The controller's clock is the better one; this host's is needed when somebody ended it.
            on_host = exposure.ended - began - (exposure.paused - paused)
            exposure.integrated += min(on_host, plan.seconds) if ended_early else plan.seconds
            if not plan.keeps_lamps:
                await self._scene.lamps_off(exposure)

    async def readout(self) -> None:
        """Read the detector out."""
        exposure = self._at("readout", ExposureState.EXPOSED)
        async with self._stage(exposure, ExposureState.READOUT, ExposureState.HELD):
            link = self._scene.link()
            opens = exposure.plan.opens_during_readout
            if opens:
                await self._shutter(link, exposure, True)
            exposure.raw = await link.read_image(lambda pixels: self._scene.show_pixels(exposure, pixels))
            if opens:
                await self._shutter(link, exposure, False)
            if exposure.raw.pixels.size != exposure.plan.geometry.pixels:
                # It is kept as it is, for a person to look at.
                raise ProtocolError(
                    f"the image has {exposure.raw.pixels.size} pixels, {exposure.plan.geometry.pixels} were asked for"
                )
            await to_its_end(self._scene.image_came(exposure))

    async def end(self) -> None:
        """Write the image; an abort waits until that has been done."""
        exposure = self._at("end", ExposureState.HELD)
        self._enter(ExposureState.WRITING)
        is_complete = False
        try:
            await to_its_end(self._scene.write(exposure))
            is_complete = True
        finally:
            await self._over(exposure, is_complete)

    async def expose(self, plan: Plan) -> Exposure:
        """All of it."""
        exposure = await self.begin(plan)
        await self.integrate()
        await self.readout()
        await self.end()
        return exposure

    async def pause(self) -> None:
        """Pause the integration; returns when the shutter is shut and the clock stands.

        Raises:
            NotAllowedError: nothing integrates, or this controller cannot.
        """
        if self.state is ExposureState.PAUSED:
            return
        self._check("pauses", "pause")
        await self._ask(Wish.PAUSE, ExposureState.EXPOSING)

    async def resume(self) -> None:
        """Go on after a pause.

        Raises:
            NotAllowedError: there is no pause.
        """
        await self._ask(Wish.RESUME, ExposureState.PAUSED)

    async def start_readout(self) -> None:
        """End the integration now; the image is read out as usual.

        Raises:
            NotAllowedError: nothing integrates, or this controller cannot.
        """
        self._check("reads_early", "end an integration early")
        await self._ask(Wish.READ, ExposureState.EXPOSING, ExposureState.PAUSED)

    async def abandon(self) -> None:
        """End an exposure that goes step by step, between two of them; an image that came is kept."""
        if self.exposure is not None and self.state in (
            ExposureState.READY,
            ExposureState.EXPOSED,
            ExposureState.HELD,
        ):
            await self._recover(self.exposure)

    def _check(self, capability: str, words: str) -> None:
        if not getattr(self._scene.link().capabilities, capability):
            raise NotAllowedError(f"this controller cannot {words}")

    def _at(self, what: str, *states: ExposureState) -> Exposure:
        if self.exposure is None or self.state not in states:
            wanted = " or ".join(each.value for each in states)
            raise NotAllowedError(f"{what} is not possible while the camera is: {self.state.value}; only: {wanted}")
        return self.exposure

    async def _ask(self, wish: Wish, *states: ExposureState) -> None:
        self._at(wish.value, *states)
        request = Request(wish)
        self._requests.put_nowait(request)
        await request.answer

    def _enter(self, state: ExposureState) -> None:
        self.state = state
        if state not in (ExposureState.EXPOSING, ExposureState.PAUSED):
            while not self._requests.empty():
                late = self._requests.get_nowait()
                late.refuse(NotAllowedError(f"{late.wish.value} came too late: {state.value}"))
        self._scene.show_state(state)

    @asynccontextmanager
    async def _stage(self, exposure: Exposure, during: ExposureState, after: ExposureState) -> AsyncIterator[None]:
        self._enter(during)
        try:
            yield
        except BaseException:
            # Also when it is cancelled: that is how an abort comes.
            await self._recover(exposure)
            raise
        self._enter(after)

    async def _integrate(self, exposure: Exposure, link: ControllerLink) -> bool:
        """Until the time is over; True when somebody ended it before."""
        deadline = time.monotonic() + exposure.plan.seconds + LATEST
        while (remaining := await link.remaining()) > 0.0:
            self._scene.show_remaining(exposure, remaining)
            if time.monotonic() > deadline:
                raise TimeoutError(f"the controller still integrates {LATEST:g} s after the end ({remaining:g} s left)")
            request = await self._request(min(remaining, TICK))
            if request is None:
                continue
            if request.wish is Wish.PAUSE:
                before = time.monotonic()
                if await self._granted(request, link.pause()):
                    request = await self._pause(exposure, link)
                deadline += time.monotonic() - before
            if request.wish is Wish.READ and await self._granted(request, link.end_exposure()):
                self._scene.show_remaining(exposure, 0.0)
                return True
        self._scene.show_remaining(exposure, 0.0)
        return False

    async def _pause(self, exposure: Exposure, link: ControllerLink) -> Request:
        """Until it goes on or is to be read out; the request that says which."""
        began = time.time()
        if exposure.plan.image_type.opens_shutter:
            await self._scene.open_shutter(exposure, False)
        self._enter(ExposureState.PAUSED)
        while True:
            request = await self._requests.get()
            if request.wish is Wish.READ:
                break
            if request.wish is Wish.RESUME and await self._granted(request, link.resume()):
                if exposure.plan.image_type.opens_shutter:
                    await self._scene.open_shutter(exposure, True)
                break
            request.grant()
        exposure.paused += time.time() - began
        self._enter(ExposureState.EXPOSING)
        return request

    async def _request(self, seconds: float) -> Request | None:
        try:
            return await asyncio.wait_for(self._requests.get(), seconds)
        except builtins.TimeoutError:
            return None

    async def _granted(self, request: Request, work: Awaitable[None]) -> bool:
        """Do what was asked; a refusal of the controller goes to who asked, and the exposure goes on."""
        try:
            await work
        except ConnectionError as error:
            request.refuse(error)
            raise
        except Exception as error:
            self._log.warning("%s: %s: %s", request.wish.value, reason(error), error)
            request.refuse(error)
            return False
        request.grant()
        return True

    async def _shutter(self, link: ControllerLink, exposure: Exposure, is_open: bool) -> None:
        if link.capabilities.has_shutter:
            await link.set_shutter(is_open)
        await self._scene.open_shutter(exposure, is_open)

    async def _recover(self, exposure: Exposure) -> None:
        """Bring everything to rest, each by itself; what fails is told in the log."""
        self._enter(ExposureState.ABORTING)
        try:
            works: Mapping[str, Any] = {
                "controller": self._abort_link(),
                "shutter": self._scene.open_shutter(exposure, False),
                "lamps": self._scene.lamps_off(exposure),
            }
            timed = [ended_in_time(work, RECOVERY, name) for name, work in works.items()]
            for name, outcome in zip(works, await asyncio.gather(*timed, return_exceptions=True), strict=True):
                if isinstance(outcome, BaseException):
                    self._log.error("%s after the end of an exposure: %s: %s", name, reason(outcome), outcome)
            if exposure.raw is not None:
                await to_its_end(self._scene.keep(exposure))
        finally:
            await self._over(exposure, False)

    async def _abort_link(self) -> None:
        try:
            await self._scene.link().abort()
        except ConnectionError as error:
            self._scene.link_lost(error)
            raise

    async def _over(self, exposure: Exposure, is_complete: bool) -> None:
        try:
            await ended_in_time(self._scene.over(exposure, is_complete), RECOVERY, "the end of the exposure")
        except Exception as error:
            self._log.error("%s: %s", reason(error), error)
        finally:
            self._enter(ExposureState.IDLE)


async def to_its_end(work: Awaitable[None]) -> None:
    """Wait for work that must not be cut short; a cancellation counts when it has ended."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error from None
        raise
