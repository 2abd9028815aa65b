"""The tools of a camera around its exposures: found by name, asked for keywords, brought to rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from devices.ccd.controller import CcdController
from devices.ccd.controller_link import ControllerLink
from devices.ccd.display import CcdDisplay
from devices.ccd.exposure_header import as_group, exposure_entries, focal_plane_group, in_order
from devices.ccd.exposure_scene import Scene
from devices.ccd.exposure_state import ExposureState
from devices.ccd.image_type import WITHOUT_LAMPS
from devices.ccd.instrument import CcdInstrument
from devices.ccd.plan import Exposure
from devices.ccd.telescope import CcdTelescope
from devices.ccd.tempcon import CcdTempcon
from devices.ccd.tool import CcdTool
from devices.core.errors import NotConnectedError, reason
from devices.core.live import ended_in_time
from devices.pipelines.ccd.ccd_image import CcdImage, Group, Measurements
from devices.pipelines.ccd.deinterlace import amplifiers

if TYPE_CHECKING:
    from devices.ccd.exposure_readings import ExposureReadings

#: A tool that has not said its keywords by then is left out of the header, s.
HEADER_SECONDS: Final = 2.0
SHOW_PERIOD: Final = 0.1


class CameraScene(Scene):
    """What surrounds the exposures of one exposure device."""

    def __init__(self, device: ExposureReadings) -> None:
        self._device = device
        self._controller: CcdController | None = None
        self._shown_at = 0.0
        self._lamps: tuple[str, ...] = ()
        self._writing: asyncio.Task[None] | None = None

    # Tools ---------------------------------------------------------------------------------------------------------

    @property
    def controller(self) -> CcdController:
        """Raises NotConnectedError: it is not in this server."""
        return self._device.peers.find(self._device.properties.controller, CcdController)

    @property
    def instrument(self) -> CcdInstrument | None:
        name = self._device.properties.instrument
        return self._device.peers.find(name, CcdInstrument) if name else None

    @property
    def telescope(self) -> CcdTelescope | None:
        name = self._device.properties.telescope
        return self._device.peers.find(name, CcdTelescope) if name else None

    @property
    def display(self) -> CcdDisplay | None:
        name = self._device.properties.display
        return self._device.peers.find(name, CcdDisplay) if name else None

    @property
    def tempcon(self) -> CcdTempcon | None:
        name = self._device.properties.tempcon
        return self._device.peers.find(name, CcdTempcon) if name else None

    def tools(self) -> dict[str, CcdTool]:
        """All tools that there are, by their names in headers; one that is away is left out."""
        found: dict[str, CcdTool] = {}
        for name in ("controller", "instrument", "telescope", "tempcon", "display"):
            try:
                tool = getattr(self, name)
            except NotConnectedError as error:
                self._device.log.warning("%s", error)
                continue
            if tool is not None:
                found[name] = tool
        return found

    def take(self) -> None:
        """Take the controller for an exposure, or raise BusyError or NotConnectedError."""
        controller = self.controller
        controller.claim(self._device.name)
        self._controller = controller

    def give_back(self) -> None:
        """Let others have the controller."""
        if self._controller is not None:
            self._controller.release()
        self._controller = None

    @contextmanager
    def taken(self) -> Iterator[CcdController]:
        """The controller for something that is no exposure; errors as of `take`."""
        self.take()
        try:
            yield self.controller
        finally:
            self.give_back()

    # What the engine asks for --------------------------------------------------------------------------------------

    def link(self) -> ControllerLink:
        return (self._controller or self.controller).link

    def link_lost(self, error: ConnectionError) -> None:
        if self._controller is not None:
            self._controller.lost(error)

    async def prepare(self, exposure: Exposure) -> None:
        assert self._controller is not None
        if self._device.properties.resets_at_first_use and not self._controller.is_reset.value:
            await self._controller.reset_now()
        await self._light(exposure)
        for tool in (self.instrument, self.telescope):
            if tool is not None:
                await tool.exposure_start()
        tools = self.tools()
        await asyncio.gather(*(self._ask(exposure, name, tool) for name, tool in tools.items()))
        telescope = tools.get("telescope")
        if isinstance(telescope, CcdTelescope) and telescope.right_ascension.reading.value is not None:
            exposure.sky = exposure.plan.setup.sky(
                15.0 * telescope.right_ascension.value, telescope.declination.reading.value or 0.0
            )

    async def _light(self, exposure: Exposure) -> None:
        """Lamps as the type of the image wants them."""
        instrument, wanted = self.instrument, exposure.plan.image_type
        self._lamps = ()
        if instrument is None:
            return
        if wanted.is_comparison:
            if not (exposure.plan.lamps_on and instrument.comps_burn.value):
                await instrument.switch_lamps(False)
                instrument.choose([wanted.name])
                await instrument.switch_lamps(True)
            self._lamps = tuple(instrument.active_comps.value)
        elif wanted.name in WITHOUT_LAMPS:
            await instrument.switch_lamps(False)
            instrument.choose(())

    async def _ask(self, exposure: Exposure, name: str, tool: CcdTool) -> None:
        try:
            await ended_in_time(tool.update_header(), HEADER_SECONDS, f"the header of {name}")
        except Exception as error:
            # The image is worth more than the keywords of one tool.
            self.problem(exposure, f"header of {name}: {reason(error)}: {error}")
        exposure.groups[name] = as_group(name, tool.header)

    def problem(self, exposure: Exposure, text: str) -> None:
        """Note what did not go well and ends nothing."""
        self._device.log.warning("%s", text)
        exposure.problems.append(text)

    async def open_shutter(self, exposure: Exposure, is_open: bool) -> None:
        if self._device.properties.instrument_shutter and (instrument := self.instrument) is not None:
            await instrument.open_shutter(is_open)

    async def lamps_off(self, exposure: Exposure) -> None:
        instrument = self.instrument
        if instrument is not None and exposure.plan.image_type.is_comparison:
            await instrument.switch_lamps(False)

    async def image_came(self, exposure: Exposure) -> None:
        device = self._device
        if self._controller is not None:
            # What it says of the integration: before that, it was of the one before.
            await self._ask(exposure, "controller", self._controller)
        device.header.show(exposure_entries(exposure, self._lamps))
        device.show_header()
        own = as_group("exposure", device.header)
        exposure.groups["exposure"] = Group(own.title, (*own.cards, *exposure.cards))
        if device.system_header:
            exposure.groups["system"] = as_group("system", device.system_header)
        assert exposure.raw is not None
        exposure.groups["focalplane"] = focal_plane_group(exposure)
        if device.properties.add_extensions and self._controller is not None:
            exposure.measured = Measurements("CONPARS", await self._controller.link.telemetry())
        exposure.image = await asyncio.to_thread(_image, exposure)
        # Its pixels are in memory once from now on; a part of them, even an empty one, would keep all of them there.
        exposure.raw = replace(exposure.raw, pixels=np.empty(0, np.uint16))

    async def write(self, exposure: Exposure) -> None:
        plan = exposure.plan
        await self.written()
        if plan.in_background and plan.target is not None:
            # The next exposure needs a name of its own.
            self._device.count(is_test=plan.is_test)
            self._writing = asyncio.create_task(self._write_behind(exposure), name=f"writing {plan.target.path.name}")
        else:
            await self._write(exposure)
            if plan.target is not None:
                self._device.count(is_test=plan.is_test)

    async def written(self) -> None:
        """Wait for the file that is written in the background: one at a time, for the sake of memory."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
            self._writing = None

    async def _write_behind(self, exposure: Exposure) -> None:
        try:
            await self._write(exposure)
        except Exception as error:
            # The image is kept; who took it does not wait any more.
            self._device.log.error("writing in the background: %s: %s", reason(error), error)
            self._device.last_error.publish(f"{reason(error)}: {error}"[:4096])

    async def _write(self, exposure: Exposure) -> None:
        device, plan = self._device, exposure.plan
        assert exposure.image is not None
        if plan.target is not None:
            try:
                await device.store.save(exposure.image, plan.target)
            finally:
                device.show_unsaved()
            device.last_filename.publish(str(plan.target.path))
            if device.send_image.value:
                await self._send(exposure)
        device.image_taken(exposure)
        display = self.tools().get("display") if device.display_image.value else None
        if isinstance(display, CcdDisplay):
            display.offer(exposure.image, "" if plan.target is None else plan.target.path.name)

    async def _send(self, exposure: Exposure) -> None:
        try:
            await self._device.send(exposure)
        except Exception as error:
            # The file is written; it can be sent again.
            self.problem(exposure, f"sending: {reason(error)}: {error}")

    async def keep(self, exposure: Exposure) -> None:
        raw = None if exposure.image is not None or exposure.raw is None else exposure.raw.pixels
        await self._device.store.keep(exposure.image, exposure.plan.target, "the exposure was not completed", raw)
        self._device.show_unsaved()

    async def over(self, exposure: Exposure, is_complete: bool) -> None:
        try:
            for tool in (self.instrument, self.telescope):
                if tool is not None:
                    await tool.exposure_finish()
        finally:
            self.give_back()
            self._device.show_end(exposure, is_complete)

    def show_state(self, state: ExposureState) -> None:
        self._shown_at = 0.0
        self._device.show_state(state)

    def show_remaining(self, exposure: Exposure, seconds: float) -> None:
        if self._is_time(seconds <= 0.0):
            self._device.show_remaining(exposure, seconds)

    def show_pixels(self, exposure: Exposure, pixels: int) -> None:
        if self._is_time(pixels <= 0):
            self._device.show_pixels(exposure, pixels)

    def _is_time(self, at_once: bool) -> bool:
        now = time.monotonic()
        if not at_once and now - self._shown_at < SHOW_PERIOD:
            return False
        self._shown_at = now
        return True


def _image(exposure: Exposure) -> CcdImage:
    """The amplifiers of what the controller gave, with all that a file says of them."""
    raw, plan = exposure.raw, exposure.plan
    assert raw is not None
    amps = amplifiers(raw.pixels, plan.geometry, raw.layout.name, plan.setup.order or raw.order)
    groups = in_order(exposure.groups)
    return CcdImage(amps, plan.geometry, groups, plan.setup.extension_cards(), exposure.sky, exposure.measured)
