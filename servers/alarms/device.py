"""The alarms of a facility as a device: Tango, EPICS and panels see and acknowledge the same ones."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tango

from devices.core import Device, Part, Properties, attribute, command, poll, setting
from devices.core.errors import DiptychError, NotConnectedError
from devices.core.live import LiveAttribute
from devices.core.reading import Quality
from servers.alarms.alarm import Alarm, Memory, Stand
from servers.alarms.alarm_list import AlarmList, read_alarm_list
from servers.alarms.annunciator import Annunciator
from servers.alarms.journal import Journal
from servers.alarms.notices import Notices
from servers.alarms.watch import Watch
from servers.epics.alarm import Severity
from servers.facility.environment import pva_client
from servers.facility.pv_list import ServedPv, served_pvs

ROWS: Final = 40
ROW_DIGITS: Final = 2
LIST_S: Final = 10.0
FIRST_LIST_S: Final = 0.5
MOST_IN_TABLE: Final = 500
#: The PV of a severity has it itself, as far as it can while it has a value.
QUALITIES: Final = (Quality.VALID, Quality.WARNING, Quality.ALARM, Quality.ALARM)


@dataclass(frozen=True)
class AlarmProperties(Properties):
    """Where PVs are served, and which alarms there are."""

    pv_access: tuple[str, ...] = setting(("127.0.0.1:5075",), doc="HOST:PORT of each PVAccess server")
    alarms_file: Path | None = setting(None, doc="The alarm list; none: the severity of every PV, and no rules")
    journal: Path = setting(doc="Where the alarms stand, and what happened to them: an SQLite file")
    facility: str = setting("Diptych", doc="What mails and webhooks call the facility")


class Row(Part["AlarmFacility"]):
    """One line of the list of alarms, the first needs somebody most."""

    name = attribute(str, doc="The PV or the rule; empty without an alarm", pv_name="ROW{key}:Name")
    severity = attribute(Severity, doc="Severity now", pv_name="ROW{key}:Sev")
    stand = attribute(Stand, doc="Whether it is acknowledged", pv_name="ROW{key}:Stand")
    text = attribute(str, doc="What is wrong", pv_name="ROW{key}:Text")
    raised = attribute(str, doc="When it was raised, time of this host", pv_name="ROW{key}:Raised")
    acked = attribute(bool, doc="Somebody knows of it", pv_name="ROW{key}:Acked")
    guidance = attribute(str, doc="What to do", pv_name="ROW{key}:Guidance")

    @command(pv_name="ROW{key}:Ack")
    async def acknowledge(self) -> None:
        """Acknowledge the alarm of line {key}."""
        if self.name.value:
            self.device.annunciator.acknowledge(self.name.value, "")
            self.device.show()


class AlarmFacility(Device):
    """What is wrong in a facility, since when, and who knows of it."""

    properties_class = AlarmProperties
    properties: AlarmProperties

    active = attribute(int, doc="Alarms that are active, those set aside left out")
    unacknowledged = attribute(int, doc="Alarms that nobody has acknowledged, also those that are over")
    minor = attribute(int, doc="Active alarms of severity MINOR")
    major = attribute(int, doc="Active alarms of severity MAJOR")
    invalid = attribute(int, doc="Active alarms of severity INVALID: a device is away, or a value cannot be had")
    shelved = attribute(int, doc="Alarms set aside for a time")
    out_of_service = attribute(int, doc="Alarms set aside until they are put back")
    highest = attribute(Severity, doc="The worst severity of an active alarm")
    news = attribute(int, doc="Counts alarms that are raised or get worse: a panel sounds when it changes")
    watched = attribute(int, doc="PVs that are watched")
    table = attribute(
        str, shape=(MOST_IN_TABLE,), doc="The list, then what is set aside: all that is known of each alarm, as JSON"
    )
    problem = attribute(str, doc="Rules that cannot be judged, who cannot be told, a journal that is not written")

    def build(self) -> None:
        self.rows = list(self.parts(Row, [f"{number:0{ROW_DIGITS}d}" for number in range(1, ROWS + 1)]).values())
        self._watch: Watch | None = None
        self._annunciator: Annunciator | None = None
        self._served: list[ServedPv] | None = None
        self._next_list_s = 0.0
        self._listing: asyncio.Task[None] | None = None

    @property
    def annunciator(self) -> Annunciator:
        if self._annunciator is None:
            raise NotConnectedError("the alarms are not watched yet")
        return self._annunciator

    async def connect(self) -> None:
        wanted = await asyncio.to_thread(self._wanted)
        try:
            self._journal = Journal(self.properties.journal)
        except (sqlite3.Error, OSError) as error:
            raise NotConnectedError(f"the journal {self.properties.journal} cannot be opened: {error}") from error
        self._notices = Notices(wanted.recipients, self.properties.facility)
        self._notices.start()
        self._annunciator = Annunciator(wanted, self._journal, self._notices.tell)
        self._watch = Watch(pva_client(self.properties.pv_access))
        self._served, self._next_list_s = None, 0.0
        self.watched.publish(0)
        self.show()

    async def disconnect(self) -> None:
        if self._listing is not None:
            self._listing.cancel()
        watch, self._watch = self._watch, None
        if watch is not None:
            await asyncio.to_thread(watch.close)
            await asyncio.to_thread(self._notices.close)
            self._annunciator = None
            self._journal.close()

    @poll(0.1)
    async def poll_pvs(self) -> None:
        """What PVs show; the list of PVs is asked for beside it."""
        if self._watch is None:
            return
        if time.monotonic() >= self._next_list_s and (self._listing is None or self._listing.done()):
            self._next_list_s = time.monotonic() + (LIST_S if self._served else FIRST_LIST_S)
            self._listing = asyncio.create_task(self._list())
        news = self._watch.take()
        if news:
            self.annunciator.see(news)
            self.show()

    @poll(1.0)
    async def poll_time(self) -> None:
        """Delays and shelves end."""
        if self._annunciator is not None:
            self.annunciator.tick()
            self.show()

    @command()
    async def acknowledge(self, alarm: str, who: str = "") -> None:
        """Say that you know of an alarm.

        Args:
            alarm: its name; * for all.
            who: you.
        """
        self.annunciator.acknowledge(alarm, who)
        self.show()

    @command()
    async def shelve(self, alarm: str, minutes: float, who: str, why: str = "") -> None:
        """Set an alarm aside for a time; it is not shown and sounds no horn until then.

        Args:
            alarm: its name.
            minutes: at most a week.
            who: you.
            why: for who comes after you.
        """
        self.annunciator.shelve(alarm, minutes, who, why)
        self.show()

    @command()
    async def unshelve(self, alarm: str, who: str = "") -> None:
        """Have a shelved alarm back before its time."""
        self.annunciator.unshelve(alarm, who)
        self.show()

    @command(level="expert")
    async def take_out_of_service(self, alarm: str, who: str, why: str) -> None:
        """Set an alarm aside until somebody puts it back, e.g. for maintenance."""
        self.annunciator.take_out(alarm, who, why)
        self.show()

    @command(level="expert")
    async def put_back_into_service(self, alarm: str, who: str = "") -> None:
        """Put an alarm back into service."""
        self.annunciator.put_back(alarm, who)
        self.show()

    @command(reads_only=True)
    async def alarms(self) -> dict[str, Any]:
        """The alarms with all that is known of them: the list in its order, then those set aside."""
        return {"alarms": self.annunciator.everything()}

    @command(reads_only=True)
    async def alarm_history(self, alarm: str = "", hours: float = 24.0) -> dict[str, Any]:
        """What happened to an alarm, or to all, newest first; at most 1000 steps.

        Args:
            alarm: its name; empty for all.
            hours: back from now.
        """
        entries = await asyncio.to_thread(self._journal.entries, alarm, hours)
        return {"steps": [entry.as_dict() for entry in entries]}

    @command(level="expert")
    async def reload(self) -> None:
        """Read the alarm list again; alarms that it still has stay as they are."""
        wanted = await asyncio.to_thread(self._wanted)
        self.annunciator.reload(wanted)
        self._notices.recipients = wanted.recipients
        self._next_list_s, self._served = 0.0, None

    def show(self) -> None:
        """Publish the counts and the list, what has changed of it."""
        found = self.annunciator
        stands, severities = found.stands, found.severities
        self.active.publish(sum(severities.values()) - severities[Severity.NO_ALARM])
        self.unacknowledged.publish(stands[Stand.UNACKNOWLEDGED] + stands[Stand.RETURNED])
        self.minor.publish(severities[Severity.MINOR])
        self.major.publish(severities[Severity.MAJOR])
        self.invalid.publish(severities[Severity.INVALID])
        self.shelved.publish(stands[Stand.SHELVED])
        self.out_of_service.publish(stands[Stand.OUT_OF_SERVICE])
        highest = max(severities, default=Severity.NO_ALARM)
        self.highest.publish(highest, quality=QUALITIES[highest])
        self.news.publish(found.news_count)
        rules = [f"{name}: {text}" for name, text in found.problems.items()]
        self.problem.publish("; ".join(filter(None, (*rules, found.journal_problem, self._notices.problem))))
        self.table.publish_change(tuple(json.dumps(each) for each in found.everything()[:MOST_IN_TABLE]))
        listed = found.listed
        for number, row in enumerate(self.rows):
            _fill(row, listed[number] if number < len(listed) else None)

    async def _list(self) -> None:
        """Ask the mirrors what they serve, and follow that."""
        try:
            served = await asyncio.to_thread(served_pvs, os.environ.get("TANGO_HOST", ""))
        except (DiptychError, tango.DevFailed):
            return  # what is watched stays; a mirror that is away shows in its PVs
        if served == self._served or self._watch is None:
            return
        scalars, arrays = self.annunciator.follow(served)
        await asyncio.to_thread(self._watch.follow, scalars, arrays)
        self._served = served
        self.watched.publish(len(scalars) + len(arrays))

    def _wanted(self) -> AlarmList:
        file = self.properties.alarms_file
        return read_alarm_list(file) if file else AlarmList()


def _fill(row: Row, alarm: Alarm | None) -> None:
    memory = alarm.memory if alarm else Memory()
    values: dict[LiveAttribute[Any], Any] = {
        row.name: alarm.name if alarm else "",
        row.severity: Severity(memory.severity),
        row.stand: alarm.stand if alarm else Stand.NORMAL,
        row.text: memory.text,
        row.raised: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(memory.raised_s)) if alarm else "",
        row.acked: memory.is_acknowledged,
        row.guidance: alarm.manner.guidance if alarm else "",
    }
    for live, value in values.items():
        live.publish_change(value, QUALITIES[memory.severity] if live is row.severity else Quality.VALID)
