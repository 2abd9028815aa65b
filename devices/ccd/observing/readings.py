"""What an observer shows: the script, where it is, how long it will take."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

from devices.ccd.observing.policy import FORM, Policy
from devices.ccd.observing.properties import ObserverProperties
from devices.ccd.observing.script import Script
from devices.ccd.observing.timetable import Pace, Step, Timetable
from devices.ccd.observing.tools import Tools
from devices.ccd.tool import settle
from devices.core import Device, attribute
from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.script_table import MAX_ROWS

if TYPE_CHECKING:
    from devices.ccd.observing.run import Run

#: The median of so many measurements is what the next estimate reckons with.
MEASUREMENTS: Final = 9
SCRIPTS_SHOWN: Final = 200
ROW_TEXT: Final = 400


class ObserverReadings(Device):
    """The attributes of an observer, and what its scripts publish."""

    properties_class = ObserverProperties
    properties: ObserverProperties

    script = attribute(str, initial="", group="Script", doc="The script that is loaded")
    scripts = attribute(str, shape=(SCRIPTS_SHOWN,), initial=(), group="Script", doc="Those in the folder")
    rows = attribute(str, shape=(MAX_ROWS,), initial=(), text_limit=ROW_TEXT, group="Script", doc="Its rows in words")
    row_states = attribute(
        str, shape=(MAX_ROWS,), initial=(), text_limit=39, group="Script", doc="waiting, running, done, failed, skipped"
    )
    on_failure = attribute(
        str,
        text_limit=39,
        memorized="apply",
        group="Script",
        doc=f"What a failure does: {FORM}; scripts may say otherwise",
    )
    row = attribute(int, initial=0, group="Progress", doc="The row that is done now, from 1; 0: none")
    row_count = attribute(int, initial=0, group="Progress", doc="Rows of the script")
    row_text = attribute(
        str, initial="", text_limit=ROW_TEXT, group="Progress", doc="The row that is done now, in words"
    )
    image = attribute(int, initial=0, group="Progress", doc="Images of this row that are there")
    row_images = attribute(int, initial=0, group="Progress", doc="Images that this row wants")
    images_taken = attribute(int, initial=0, group="Progress", doc="By this run")
    rows_failed = attribute(int, initial=0, group="Progress", doc="Of this run")
    time_left = attribute(
        float, initial=0.0, unit="s", precision=0, group="Progress", doc="Until the script's end, estimated"
    )
    paused = attribute(bool, initial=False, group="Progress", doc="Whether the script waits for an operator")
    pauses_soon = attribute(
        bool, initial=False, group="Progress", doc="Whether it pauses when the present image is there"
    )
    question = attribute(str, initial="", group="Progress", doc="Why it waits; resume or skip answer")
    last_failure = attribute(str, initial="", group="Progress", doc="The last thing that failed")
    unfinished = attribute(str, initial="", group="Progress", doc="A run that carry_on takes up where it ended")
    log_file = attribute(str, initial="", group="Progress", doc="The log of this night")
    exposure_overhead = attribute(
        float, access="read_write", initial=1.0, unit="s", limits=(0.0, 600.0), precision=3, memorized="show",
        group="Estimate", doc="Of an image beyond its exposure; measured while scripts run",
    )  # fmt: skip
    filter_seconds = attribute(
        float, access="read_write", initial=1.0, unit="s", limits=(0.0, 600.0), precision=3, memorized="show",
        group="Estimate", doc="A change of filter; measured while scripts run",
    )  # fmt: skip
    slew_overhead = attribute(
        float, access="read_write", initial=0.5, unit="s", limits=(0.0, 600.0), precision=3, memorized="show",
        group="Estimate", doc="Of a slew beyond its motion; measured while scripts run",
    )  # fmt: skip

    def build(self) -> None:
        given = self.properties
        if not given.folder.is_absolute():
            raise ConfigurationError(self.name, [f"folder = {given.folder}: not an absolute path"])
        settle(self.on_failure, "stop")
        self.tools = Tools(self, given.exposure, given.focuser)
        self._measured: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MEASUREMENTS))
        #: What comes after the present row, s.
        self._afterwards = 0.0

    @on_failure.write
    async def write_on_failure(self, text: str) -> None:
        self.on_failure.publish(str(policy_of(text)))

    @property
    def policy(self) -> Policy:
        """What a failure does when neither row nor script says anything."""
        return Policy.parse(self.on_failure.value)

    @property
    def pace(self) -> Pace:
        """How fast this camera is."""
        given, telescope = self.properties, self.tools.telescope
        own = (4.0, 2.0) if telescope is None else (telescope.properties.slew_rate, telescope.properties.acceleration)
        return Pace(
            self.exposure_overhead.value, self.filter_seconds.value, self.slew_overhead.value,
            given.slew_rate or own[0], given.acceleration or own[1],
        )  # fmt: skip

    async def show_row(self, run: Run, state: str) -> None:
        """Publish which row a run has come to, or how it ended, and how long the rest will take."""
        row = run.row
        states = list(self.row_states.value)
        states[row.number - 1] = state
        self.row_states.publish(tuple(states))
        self.row.publish_change(row.number)
        self.row_text.publish_change(str(row)[:ROW_TEXT])
        self.row_images.publish_change(row.images)
        self.rows_failed.publish_change(run.rows["failed"])
        self.show_image(run)
        if state == "running":
            steps = await self.steps(run.script, time.time(), row.number, run.images)
            self._afterwards = steps[-1].ends - steps[0].ends
            self.time_left.publish(steps[-1].ends - steps[0].begins)

    def show_image(self, run: Run) -> None:
        """Publish which images are there."""
        row = run.row
        self.image.publish_change(run.images)
        self.images_taken.publish_change(run.taken)
        if row.exposes:
            left = (row.repeats - run.images) * (row.seconds + self.exposure_overhead.value)
            self.time_left.publish_change(left + self._afterwards)

    def show_question(self, question: str) -> None:
        """Publish why it waits; empty: it goes on."""
        self.pauses_soon.publish(False)
        self.question.publish(question[:4000])
        self.paused.publish(bool(question))

    def measure(self, name: str, seconds: float) -> None:
        """Take a measurement of one of the overheads into the estimates."""
        values = self._measured[name]
        values.append(min(600.0, max(0.0, seconds)))
        live = self.attributes[name]
        settle(live, statistics.median(values))
        self.remember(live)

    async def steps(self, script: Script, begin: float, first: int, done: int) -> list[Step]:
        """Each row of a script in time, from a row on."""
        table = Timetable(begin, self.pace, self.tools.filter(), self.tools.aim())
        return await asyncio.to_thread(lambda: list(table.steps(script, first, done)))


def policy_of(text: str) -> Policy:
    """The policy of a client's text, or BadValueError."""
    try:
        return Policy.parse(text)
    except ValueError:
        raise BadValueError(f"on_failure = {text!r}: {FORM}") from None
