"""The observer of a CCD camera: a device that runs observing scripts."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from devices.ccd.observing.journal import Journal, Unfinished
from devices.ccd.observing.night_log import NightLog
from devices.ccd.observing.policy import FORM, Policy
from devices.ccd.observing.readings import ROW_TEXT, SCRIPTS_SHOWN, ObserverReadings, policy_of
from devices.ccd.observing.run import Run
from devices.ccd.observing.script import Script
from devices.core import Argument, Operation, command, operation
from devices.core.errors import BadValueError, BusyError, NotAllowedError, RangeError, StorageError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.limited_file import read_limited
from devices.drivers.script_table import ENDINGS, MAX_BYTES, MAX_ROWS

FOLDER_PERIOD: Final = 2.0
Name = Annotated[str, Argument(text_limit=200, doc="Of a script in the property folder; empty: the one that is loaded")]
Number = Annotated[int, Argument(limits=(1, MAX_ROWS), doc="From 1")]
Said = Annotated[str, Argument(text_limit=39, doc=f"{FORM}; empty: what the script says, then on_failure")]


class CcdObserver(ObserverReadings):
    """Carries out observing scripts: tables of targets, filters and exposures, checked before anything moves.

    While a script runs, the camera is reserved for it; while it is paused, the camera is free.
    """

    def build(self) -> None:
        super().build()
        self.journal = Journal(self.properties.folder)
        self._loaded: Script | None = None
        self._active: Run | None = None
        self._unfinished: Unfinished | None = None
        self.add_poll(self.poll_folder, FOLDER_PERIOD, "folder")

    async def connect(self) -> None:
        await self._look_for_unfinished()

    async def poll_folder(self) -> None:
        """Look which scripts there are."""
        self.scripts.publish_change(await asyncio.to_thread(_scripts_of, self.properties.folder))

    # Scripts -------------------------------------------------------------------------------------------------------

    @command(group="Script")
    async def load(self, script: Annotated[str, Argument(text_limit=200, doc="In the property folder")]) -> None:
        """Load a script and check it; all its faults are told at once."""
        self._check_idle()
        path = AllowedFolders([self.properties.folder]).resolve(script)
        await self._take(script, await asyncio.to_thread(_text_of, path))

    @command(group="Script", mirror=False)
    async def load_text(
        self,
        name: Annotated[str, Argument(text_limit=200, doc=f"Of the script; its ending is one of {', '.join(ENDINGS)}")],
        text: Annotated[str, Argument(text_limit=MAX_BYTES)],
    ) -> None:
        """Load a script that lies elsewhere, as its text."""
        self._check_idle()
        await self._take(name, text)

    @command(reads_only=True, mirror=False, group="Script")
    async def timetable(
        self,
        first_row: Number = 1,
        begin: Annotated[str, Argument(text_limit=39, doc="UTC, as 2026-11-22T02:30; empty: now")] = "",
    ) -> dict[str, Any]:
        """When each row of the loaded script would be done, its airmass then, and what the telescope would refuse."""
        script = self._script()
        self._check_row(script, first_row)
        steps = await self.steps(script, _moment(begin), first_row, 0)
        return {
            "script": script.name,
            "steps": [step.as_dict() for step in steps],
            "images": sum(step.row.images for step in steps),
            "seconds": steps[-1].ends - steps[0].begins if steps else 0.0,
            "violations": sum(bool(step.violations) for step in steps),
        }

    @operation(group="Script")
    async def observe(
        self, run: Operation, script: Name = "", first_row: Number = 1, on_failure: Said = ""
    ) -> dict[str, Any]:
        """Carry a script out, from a row on; what earlier rows have set is set first."""
        policy = policy_of(on_failure) if on_failure else None
        if script:
            await self.load(script)
        found = self._script()
        # The camera may have changed since it was loaded.
        await asyncio.to_thread(Script.parse, found.name, found.text, self.tools.equipment())
        self._check_row(found, first_row)
        return await self._carry_out(run, found, first_row, 0, policy)

    @operation(group="Script")
    async def carry_on(self, run: Operation, on_failure: Said = "") -> dict[str, Any]:
        """Go on with the run that did not come to its end, after what it had finished."""
        left = self._unfinished
        if left is None:
            raise NotAllowedError("there is nothing to carry on: the last script came to its end")
        said = on_failure or left.on_failure
        await self._take(left.name, left.text)
        return await self._carry_out(run, self._script(), left.row, left.images, policy_of(said) if said else None)

    @command(stops=True, group="Script")
    async def pause(self) -> None:
        """Wait when the present image is there; the camera is free then."""
        running = self._current()
        running.hold.pause()
        self.pauses_soon.publish(running.hold.pauses)

    @command(group="Script")
    async def resume(self) -> None:
        """Go on; what has failed is tried again."""
        self._current().hold.resume()
        self.pauses_soon.publish(False)

    @command(group="Script")
    async def skip(self) -> None:
        """Leave out what is left of the present row; an image that is being taken comes to its end."""
        self._current().hold.skip()

    # How it is done ------------------------------------------------------------------------------------------------

    async def _carry_out(
        self, run: Operation, script: Script, first: int, images: int, policy: Policy | None
    ) -> dict[str, Any]:
        aim = self.tools.aim()
        log = NightLog(self.properties.folder, 0.0 if aim is None else aim.site.longitude_deg)
        self.log_file.publish(str(log.path(time.time())))
        self.last_failure.publish("")
        self.row_states.publish(tuple("waiting" if each.number >= first else "" for each in script.rows))
        current = self._active = Run(self, self.tools, script, self.journal, log, first, images, policy)
        watch = asyncio.create_task(self._report(run, current))
        try:
            return {**await current.all(), "log": self.log_file.value}
        finally:
            watch.cancel()
            self._active = None
            self.row.publish(0)
            self.time_left.publish(0.0)
            self.show_question("")
            await self._look_for_unfinished()

    async def _report(self, run: Operation, current: Run) -> None:
        """Tell the operation's progress while the script runs."""
        total = max(1, current.script.images)
        before = sum(row.images for row in current.script.rows[: current.row.number - 1]) + current.images
        while True:
            row = current.row
            waits = f"paused: {self.question.value}" if current.hold.is_waiting else ""
            of = f" ({current.images} of {row.repeats})" if row.repeats > 1 else ""
            run.report(
                100.0 * min(1.0, (before + current.taken) / total),
                waits or f"row {row.number} of {len(current.script.rows)}: {row}{of}",
            )
            await asyncio.sleep(0.2)

    async def _take(self, name: str, text: str) -> None:
        script = await asyncio.to_thread(Script.parse, name, text, self.tools.equipment())
        self._loaded = script
        self.script.publish(script.name)
        self.rows.publish(tuple(str(row)[:ROW_TEXT] for row in script.rows))
        self.row_states.publish(("waiting",) * len(script.rows))
        self.row_count.publish(len(script.rows))

    async def _look_for_unfinished(self) -> None:
        self._unfinished = None
        try:
            self._unfinished = await asyncio.to_thread(self.journal.unfinished)
        except StorageError as error:
            # Scripts run without it; there is only nothing to carry on.
            self.log.warning("%s", error)
            self.unfinished.publish_invalid(str(error))
        else:
            self.unfinished.publish("" if self._unfinished is None else str(self._unfinished))

    def _script(self) -> Script:
        if self._loaded is None:
            raise NotAllowedError("no script is loaded")
        return self._loaded

    def _current(self) -> Run:
        if self._active is None:
            raise NotAllowedError("no script runs")
        return self._active

    def _check_idle(self) -> None:
        if self._active is not None:
            raise BusyError(f"{self._active.script.name} runs: row {self._active.row.number}")

    def _check_row(self, script: Script, number: int) -> None:
        if number > len(script.rows):
            raise RangeError(f"first_row = {number} is outside [1, {len(script.rows)}]")


def _moment(text: str) -> float:
    if not text:
        return time.time()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadValueError(f"begin = {text!r} is no moment such as 2026-11-22T02:30") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _scripts_of(folder: Path) -> tuple[str, ...]:
    try:
        found = [each.name for each in folder.iterdir() if each.suffix.casefold() in ENDINGS and each.is_file()]
    except FileNotFoundError:
        return ()
    return tuple(sorted(each for each in found if not each.startswith("night-")))[:SCRIPTS_SHOWN]


def _text_of(path: Path) -> str:
    try:
        return read_limited(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadValueError(f"{path} is not UTF-8: byte {error.start}") from error
