"""A script that runs: row by row, image by image, with what failures and operators make of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from devices.ccd.observing.hold import Answer, Hold
from devices.ccd.observing.journal import Journal
from devices.ccd.observing.night_log import Line, NightLog, utc
from devices.ccd.observing.policy import Policy
from devices.ccd.observing.row import Row
from devices.ccd.observing.script import Script, Setting
from devices.ccd.observing.timetable import THERE, slew_seconds
from devices.ccd.observing.tools import Tools
from devices.core.errors import AbortedError, NotAllowedError, NotConnectedError, reason
from devices.core.operation_error import operation_error
from devices.pipelines.ccd.sky_place import separation_deg
from devices.pipelines.ccd.sky_text import degrees_text, hours_text

if TYPE_CHECKING:
    from devices.ccd.observing.observer import CcdObserver


class Skipped(Exception):
    """An operator does not want the rest of this row."""


class Run:
    """One run of a script.

    Args:
        device: where it is shown.
        first: the row with which it begins. images: those of it that are there already.
        policy: what failures do, whatever the script says in general; None: nothing was said.
    """

    def __init__(
        self, device: CcdObserver, tools: Tools, script: Script, journal: Journal, log: NightLog,
        first: int, images: int, policy: Policy | None,
    ) -> None:  # fmt: skip
        self.script, self.row, self.images = script, script.rows[first - 1], images
        self.hold = Hold()
        self.rows = {"done": 0, "failed": 0, "skipped": 0}
        self.taken = 0
        self._device, self._tools, self._journal, self._log = device, tools, journal, log
        self._policy = policy
        #: What rows that are not done again have set; made again before anything else.
        self._setting: Setting | None = script.setting_before(first)
        self._script_policy = self._setting.policy
        #: The telescope is where the present row wants it, and an offset is not made twice.
        self._is_placed = False

    async def all(self) -> dict[str, Any]:
        """Every row from the first one on; what became of them."""
        began = time.time()
        first = self.row.number
        said = "" if self._policy is None else str(self._policy)
        start = self.script.name, self.script.text, said, first, len(self.script.rows), self.images
        await asyncio.to_thread(self._journal.begin, *start)
        await self._note(Line(utc(began), self.script.name, row=first, outcome="begun"))
        outcome, problem = "ended", ""
        try:
            with self._tools.reserved(self.script.name):
                for row in self.script.rows[first - 1 :]:
                    if row.command == "quit":
                        break
                    await self._turn(row)
            await asyncio.to_thread(self._journal.end)
        except BaseException as error:
            outcome, problem = "stopped", str(error) if isinstance(error, Exception) else "aborted by a client"
            raise
        finally:
            took = f"{time.time() - began:.1f}"
            last = Line(utc(time.time()), self.script.name, outcome=outcome, took=took, problem=problem)
            await self._note(last)
        return {"script": self.script.name, "rows": self.rows, "images": self.taken, "seconds": time.time() - began}

    async def _turn(self, row: Row) -> None:
        """One row and its place in the books."""
        if row is not self.row:
            self.row, self.images = row, 0
        self._is_placed = self.images > 0 and row.place is None
        await self._device.show_row(self, "running")
        if row.command == "policy":
            self._script_policy = row.policy
        outcome = await self._outcome(row)
        # It came too late for this row, and is not meant for the next one.
        self.hold.take_skip()
        self.rows[outcome] += 1
        await self._device.show_row(self, outcome)
        await asyncio.to_thread(self._journal.row, row.number)

    async def _outcome(self, row: Row) -> str:
        tries = 0
        while True:
            began = time.time()
            try:
                await self._work(row)
            except Skipped:
                await self._note(self._line(began, row, outcome="skipped"))
                return "skipped"
            except Exception as error:
                failure = f"{reason(error)}: {error}"
                self._device.log.warning("row %d, %s: %s", row.number, row, failure)
                self._device.last_failure.publish(f"row {row.number} (line {row.line}), {row}: {failure}"[:4000])
                await self._note(self._line(began, row, outcome="failed", problem=failure))
                policy = row.policy or self._policy or self._script_policy or self._device.policy
                tries += 1
                # Who aborts an image does not want it tried again.
                aborted = isinstance(error, AbortedError)
                if tries <= policy.retries and not aborted:
                    await self.hold.sleep(self._device.properties.retry_delay)
                elif policy.then == "skip" and not aborted:
                    return "failed"
                elif policy.then == "pause" or aborted:
                    if await self._wait(f"row {row.number}, {row}: {failure}") is Answer.SKIP:
                        return "failed"
                    tries = 0
                else:
                    raise operation_error(
                        f"{reason(error)}: row {row.number} (line {row.line}), {row}: {error}"
                    ) from error
            else:
                if not row.exposes:
                    await self._note(self._line(began, row, outcome="done", problem=row.text))
                return "done"

    async def _work(self, row: Row) -> None:
        await self._checkpoint()
        self._tools.reserve(self.script.name)
        if (setting := self._setting) is not None:
            await self._prepare(setting)
            self._setting = None
        if not self._is_placed:
            await self._point(row.place)
            await self._offset(row.east, row.north)
            self._is_placed = True
        if row.filter:
            await self._change_filter(row.filter)
        match row.command:
            case "obs" | "test":
                await self._expose(row)
            case "movefocus":
                await self._focus(row.focus)
            case "stepfocus":
                await self._focus(self._tools.focuser.focus.value + row.focus)
            case "delay":
                await self.hold.sleep(row.seconds)
                await self._checkpoint()
            case "comment":
                self._device.log.info("%s", row.text)
            case "prompt":
                if await self._wait(row.text) is Answer.SKIP:
                    raise Skipped

    # Moving --------------------------------------------------------------------------------------------------------

    async def _prepare(self, setting: Setting) -> None:
        await self._point(setting.place)
        if setting.filter:
            await self._change_filter(setting.filter)
        if setting.focus is not None:
            await self._focus(setting.focus)

    async def _point(self, place: tuple[float, float] | None) -> None:
        telescope = self._tools.telescope
        if place is None or telescope is None:
            return
        if telescope.tracking.reading.value and separation_deg(telescope.aim, place) < THERE:
            return
        telescope.check_place(*place)
        aim = self._tools.aim()
        if aim is None:
            raise NotConnectedError(f"{telescope.name} does not say where it points")
        expected = slew_seconds(aim, self._device.pace, place, time.time())
        began = time.time()
        await self._tools.done(telescope, "point", right_ascension=place[0], declination=place[1])
        self._device.measure("slew_overhead", time.time() - began - expected)

    async def _offset(self, east: float, north: float) -> None:
        telescope = self._tools.telescope
        if telescope is not None and (east or north):
            await self._tools.done(telescope, "offset", east=east, north=north)

    async def _change_filter(self, name: str) -> None:
        instrument = self._tools.instrument
        if instrument is None:
            raise NotAllowedError(f"filter = {name!r}: there is no instrument")
        if name.casefold() == self._tools.filter().casefold():
            return
        began = time.time()
        await instrument.run("set_filter", {"filter": name})
        await instrument.at_rest()
        self._device.measure("filter_seconds", time.time() - began)

    async def _focus(self, position: float) -> None:
        focuser = self._tools.focuser
        await focuser.put("focus", position)
        await focuser.at_rest()

    # Images --------------------------------------------------------------------------------------------------------

    async def _expose(self, row: Row) -> None:
        while self.images < row.repeats:
            await self._checkpoint()
            began = time.time()
            place = self._place_cells()
            result = await self._image(row)
            took = time.time() - began
            self.images += 1
            self.taken += 1
            self._device.measure("exposure_overhead", took - result["exposure_time"])
            await asyncio.to_thread(self._journal.image, row.number, self.images)
            line = self._line(began, row, outcome="done", problem="; ".join(result["problems"]))
            exposed = replace(line, image=self.images, seconds=round(result["exposure_time"], 3), file=result["file"])
            await self._note(replace(exposed, **place))
            self._device.show_image(self)

    async def _image(self, row: Row) -> dict[str, Any]:
        exposure = self._tools.exposure
        words = {"seconds": row.seconds, "image_type": row.type, "title": row.title}
        if row.command != "test":
            return dict(await self._tools.done(exposure, "expose", **words))
        await exposure.put("test_image", True)
        try:
            return dict(await self._tools.done(exposure, "expose", **words))
        finally:
            await exposure.put("test_image", False)

    # Waiting -------------------------------------------------------------------------------------------------------

    async def _checkpoint(self) -> None:
        """Between two images, and before a row: what operators want."""
        if self.hold.pauses and await self._wait("paused") is Answer.SKIP:
            raise Skipped
        if self.hold.take_skip():
            raise Skipped

    async def _wait(self, question: str) -> Answer:
        """Wait for an operator; the camera is free meanwhile."""
        while True:
            self._tools.release()
            await self._note(self._line(time.time(), self.row, outcome="paused", problem=question))
            # From here on it can be answered.
            self._device.show_question(question)
            try:
                answer = await self.hold.answer()
            finally:
                self._device.show_question("")
            try:
                self._tools.reserve(self.script.name)
            except NotAllowedError as error:
                question = str(error)
                continue
            return answer

    # Books ---------------------------------------------------------------------------------------------------------

    def _line(self, began: float, row: Row, **words: Any) -> Line:
        took = f"{time.time() - began:.1f}"
        return Line(
            utc(began), self.script.name, row.number, "", row.command, row.target, self._tools.filter(), row.type,
            row.seconds if row.exposes or row.command == "delay" else "", took=took, **words,
        )  # fmt: skip

    async def _note(self, line: Line) -> None:
        await asyncio.to_thread(self._log.add, line, time.time())

    def _place_cells(self) -> dict[str, str]:
        telescope = self._tools.telescope
        if telescope is None or (aim := self._tools.aim()) is None:
            return {}
        altitude, airmass = telescope.altitude.reading.value, telescope.airmass.reading.value
        return {
            "right_ascension": hours_text(aim.place[0]),
            "declination": degrees_text(aim.place[1]),
            "altitude": "" if altitude is None else f"{altitude:.2f}",
            "airmass": "" if airmass is None else f"{airmass:.3f}",
        }
