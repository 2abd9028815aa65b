"""All alarms of a facility: PVs and rules in, the list of operators out; restarts, lost devices, a full disk."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.core.errors import BadValueError, NotAllowedError, UnknownNameError
from servers.alarms.alarm import Stand
from servers.alarms.alarm_list import AlarmList, read_alarm_list
from servers.alarms.annunciator import Annunciator, Notice
from servers.alarms.formula import Seen
from servers.alarms.journal import Journal
from servers.alarms.watch import News
from servers.epics.alarm import Severity
from servers.facility.pv_list import ServedPv

CRYO, SAXS = "cryo/cryocon/1", "saxs/detector/1"
A, B, STATE = "CRYO1:TemperatureA", "CRYO1:TemperatureB", "CRYO1:State"
BEGAN_S = 1_790_000_000.0


def served(name: str, device: str, part: str, rank: int = 0) -> ServedPv:
    return ServedPv(name, device, part, "float64", rank, is_writable=False, level="operator")


PVS = [
    served(A, CRYO, "temperature_a"),
    served(B, CRYO, "Temperature_B"),
    served(STATE, CRYO, "State"),
    served("CRYO1:Setpoint", CRYO, "setpoint"),
    served("CRYO1:Setpoint_RBV", CRYO, "setpoint"),
    served("CRYO1:Status", CRYO, "Status"),
    served("CRYO1:Reset", CRYO, "reset()"),
    served("CRYO1:History", CRYO, "history", 1),
    served("SAXS1:Image", SAXS, "image", 2),
    served("SAXS1:State", SAXS, "State"),
    served("ALARM:Active", "alarm/facility/1", "active"),
]
RULES = """
pvs:
  - {pv: "CRYO1:TemperatureB", delay: 5 s, guidance: Fill nitrogen., tell: [shift]}
  - {pv: "CRYO1:History", off: true}
rules:
  Warm:
    when: (CRYO1:TemperatureA > 90 or `CRYO/cryocon/1/Temperature_B` > 80) and CRYO1:State != "OFF"
    severity: MAJOR
    message: "A is at {CRYO1:TemperatureA} K"
    tell: [shift]
tell:
  shift: {webhook: "http://127.0.0.1:9/alarm"}
"""


class Site:
    """An annunciator whose clock stands until it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = BEGAN_S
        self.told: list[Notice] = []
        (folder / "alarms.yaml").write_text(RULES)
        self.start()

    def start(self, wanted: AlarmList | None = None) -> None:
        self.journal = Journal(self.folder / "state" / "alarms.sqlite")
        wanted = wanted or read_alarm_list(self.folder / "alarms.yaml")
        self.alarms = Annunciator(wanted, self.journal, self.told.append, clock_s=lambda: self.now_s)
        self.watched = self.alarms.follow(PVS)

    def restart(self) -> None:
        self.journal.close()
        self.start()

    def see(self, pv: str, value: float | str, severity: int = 0, label: str | None = None) -> None:
        self.alarms.see([News(pv, Seen(value, label, severity), f"{value}: limit" if severity else str(value))])

    def lose(self, *pvs: str) -> None:
        self.alarms.see([News(pv, Seen(float("nan"), None, 3, is_connected=False), "") for pv in pvs])

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        self.alarms.tick()

    @property
    def shown(self) -> list[tuple[str, Stand]]:
        return [(alarm.name, alarm.stand) for alarm in self.alarms.listed]

    @property
    def steps(self) -> list[tuple[str, str, str]]:
        """Everything that happened, oldest first."""
        rows = sqlite3.connect(self.folder / "state" / "alarms.sqlite").execute(
            "SELECT alarm, step, who FROM journal ORDER BY id"
        )
        return [tuple(row) for row in rows]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.journal.close()


def test_values_are_watched_and_neither_commands_nor_images_nor_the_alarms_themselves(site: Site) -> None:
    scalars, arrays = site.watched
    assert scalars == ["CRYO1:Setpoint_RBV", STATE, A, B, "SAXS1:State"]
    assert arrays == []
    site.alarms.reload(AlarmList())
    assert site.alarms.follow(PVS)[1] == ["CRYO1:History"]


def test_what_needs_somebody_most_stands_first(site: Site) -> None:
    site.see("CRYO1:Setpoint_RBV", 12.5, 1)
    site.later(1.0)
    site.see("SAXS1:State", 8.0, 2, "FAULT")
    site.later(1.0)
    site.see(A, 77.0, 1)
    site.alarms.acknowledge("SAXS1:State", "ada")
    site.see("CRYO1:Setpoint_RBV", 12.5, 0)
    assert site.shown == [
        (A, Stand.UNACKNOWLEDGED),
        ("CRYO1:Setpoint_RBV", Stand.RETURNED),
        ("SAXS1:State", Stand.ACKNOWLEDGED),
    ]
    assert site.alarms.severities == {Severity.MINOR: 1, Severity.MAJOR: 1}
    assert site.alarms.news_count == 3
    site.alarms.acknowledge("*", "bob")
    assert site.shown == [("SAXS1:State", Stand.ACKNOWLEDGED), (A, Stand.ACKNOWLEDGED)]
    assert [step for step in site.steps if step[1] == "acknowledged"] == [
        ("SAXS1:State", "acknowledged", "ada"),
        (A, "acknowledged", "bob"),
        ("CRYO1:Setpoint_RBV", "acknowledged", "bob"),
    ]


def test_a_rule_is_an_alarm_with_the_values_of_then_and_its_people_are_told_once(site: Site) -> None:
    site.see(STATE, 1.0, 0, "ON")
    site.see(A, 60.0)
    assert site.shown == []
    assert site.alarms.problems == {"Warm": "CRYO/cryocon/1/Temperature_B has not been seen yet"}
    site.see(B, 81.0)
    assert site.shown == [("Warm", Stand.UNACKNOWLEDGED)] and site.alarms.problems == {}
    site.see(A, 93.5)
    assert site.alarms.alarm("Warm").memory.text == "A is at 93.5 K"
    assert [(notice.alarm, notice.severity, notice.text) for notice in site.told] == [("Warm", "MAJOR", "A is at 60 K")]
    site.see(STATE, 0.0, 0, "OFF")
    assert site.shown == [("Warm", Stand.RETURNED)]
    assert site.alarms.severities[Severity.MAJOR] == 0


def test_a_delay_passes_before_anybody_is_told(site: Site) -> None:
    site.see(B, 79.0, 2)
    site.later(4.0)
    assert site.shown == [] and site.told == []
    site.later(1.0)
    assert site.shown == [(B, Stand.UNACKNOWLEDGED)]
    (notice,) = site.told
    assert notice == Notice(BEGAN_S + 5.0, B, CRYO, "MAJOR", "79.0: limit", "Fill nitrogen.", ("shift",))


def test_acknowledgement_shelves_and_what_is_out_of_service_survive_a_restart(site: Site) -> None:
    site.see(A, 77.0, 1)
    site.see("SAXS1:State", 8.0, 2, "FAULT")
    site.see("CRYO1:Setpoint_RBV", 3.0, 1)
    site.alarms.acknowledge(A, "ada")
    site.alarms.shelve("SAXS1:State", 10.0, "bob", "beam is off")
    site.alarms.take_out("CRYO1:Setpoint_RBV", "eve", "new limits")
    site.now_s += 60.0
    site.restart()
    site.see(A, 77.0, 1)
    site.see("SAXS1:State", 8.0, 2, "FAULT")
    assert site.shown == [(A, Stand.ACKNOWLEDGED)]
    assert site.alarms.alarm(A).memory.acknowledged_by == "ada"
    assert site.alarms.alarm("CRYO1:Setpoint_RBV").stand is Stand.OUT_OF_SERVICE
    assert site.alarms.news_count == 0
    site.later(539.0)
    assert site.alarms.alarm("SAXS1:State").stand is Stand.SHELVED
    site.later(1.0)
    assert site.shown[0] == ("SAXS1:State", Stand.UNACKNOWLEDGED)
    assert site.alarms.news_count == 1


def test_what_cleared_while_nothing_watched_clears_when_it_is_seen(site: Site) -> None:
    site.see(A, 77.0, 2)
    site.alarms.acknowledge(A, "ada")
    site.restart()
    assert site.shown == [(A, Stand.ACKNOWLEDGED)]
    site.see(A, 20.0)
    assert site.shown == []


def test_a_device_that_is_away_is_one_alarm_and_its_others_stay_as_they_were(site: Site) -> None:
    site.see(A, 77.0, 1)
    site.alarms.acknowledge(A, "ada")
    site.lose(A, B, STATE, "CRYO1:Setpoint_RBV")
    assert site.shown == [(STATE, Stand.UNACKNOWLEDGED), (A, Stand.ACKNOWLEDGED)]
    state = site.alarms.alarm(STATE)
    assert (state.severity, state.memory.text) == (Severity.INVALID, "cryo/cryocon/1 does not answer")
    site.see(STATE, 1.0, 0, "ON")
    site.see(A, 20.0)
    assert site.shown == [(STATE, Stand.RETURNED)]


def test_the_state_alarm_is_an_alarm_only_of_a_device_that_does_not_sum_up_its_attributes(site: Site) -> None:
    site.alarms.follow([*PVS, served("CRYO1:AlarmSummary", CRYO, "alarm_summary")])
    site.see(STATE, 11.0, 1, "ALARM")
    site.see("SAXS1:State", 11.0, 1, "ALARM")
    assert site.shown == [("SAXS1:State", Stand.UNACKNOWLEDGED)]
    site.see(STATE, 8.0, 2, "FAULT")
    assert site.shown[0] == (STATE, Stand.UNACKNOWLEDGED)


def test_a_rule_stays_as_it_is_while_its_device_is_away_and_says_so(site: Site) -> None:
    site.see(STATE, 1.0, 0, "ON")
    site.see(B, 40.0)
    site.see(A, 93.5)
    assert site.shown == [("Warm", Stand.UNACKNOWLEDGED)]
    site.lose(A)
    assert site.shown == [("Warm", Stand.UNACKNOWLEDGED)]
    assert site.alarms.problems == {"Warm": f"{A} is not connected"}
    site.see(A, 30.0)
    assert site.shown == [("Warm", Stand.RETURNED)] and site.alarms.problems == {}


def test_a_reloaded_list_is_judged_at_once_and_alarms_it_still_has_stay(site: Site) -> None:
    site.see(STATE, 1.0, 0, "ON")
    site.see(A, 60.0)
    site.see(B, 40.0, 0)
    file = site.folder / "alarms.yaml"
    file.write_text(RULES.replace("TemperatureA > 90", "TemperatureA > 50"))
    site.alarms.reload(read_alarm_list(file))
    assert site.shown == [("Warm", Stand.UNACKNOWLEDGED)]
    assert site.alarms.alarm("Warm").memory.text == "A is at 60 K"
    site.alarms.acknowledge("Warm", "ada")
    site.alarms.reload(read_alarm_list(file))
    assert site.shown == [("Warm", Stand.ACKNOWLEDGED)]
    site.alarms.reload(AlarmList())
    assert site.shown == []


def test_an_alarm_that_is_served_no_more_goes_and_is_where_it_was_when_it_comes_back(site: Site) -> None:
    site.see(A, 77.0, 1)
    site.alarms.acknowledge(A, "ada")
    site.alarms.follow([pv for pv in PVS if pv.device != CRYO])
    assert site.shown == []
    with pytest.raises(UnknownNameError, match=f"there is no alarm {A}"):
        site.alarms.acknowledge(A, "ada")
    site.alarms.follow(PVS)
    assert site.shown == [(A, Stand.ACKNOWLEDGED)]


def test_nobody_shelves_without_a_name_a_time_or_an_alarm(site: Site) -> None:
    for minutes in (0.0, -1.0, 7 * 1440 + 0.1, float("nan"), float("inf")):
        with pytest.raises(BadValueError, match="minutes = "):
            site.alarms.shelve(A, minutes, "ada", "")
    with pytest.raises(BadValueError, match="who"):
        site.alarms.shelve(A, 5.0, " ", "")
    with pytest.raises(BadValueError, match="who, why"):
        site.alarms.take_out(A, "ada", "")
    with pytest.raises(UnknownNameError, match="CRYO1:Nothing"):
        site.alarms.shelve("CRYO1:Nothing", 5.0, "ada", "")
    with pytest.raises(NotAllowedError, match="not shelved"):
        site.alarms.unshelve(A, "ada")


def test_a_journal_that_cannot_be_written_is_said_and_written_later(site: Site) -> None:
    site.journal._file.execute("PRAGMA query_only = ON")
    site.see(A, 77.0, 2)
    site.alarms.acknowledge(A, "ada")
    assert site.shown == [(A, Stand.ACKNOWLEDGED)]
    assert "the journal cannot be written: attempt to write a readonly database" in site.alarms.journal_problem
    site.journal._file.execute("PRAGMA query_only = OFF")
    site.later(1.0)
    assert site.alarms.journal_problem == ""
    assert site.steps == [(A, "raised", ""), (A, "acknowledged", "ada")]


def test_the_journal_tells_the_last_hours_of_one_alarm_newest_first(site: Site) -> None:
    site.now_s = time.time() - 7200.0
    site.see(A, 77.0, 2)
    site.now_s += 7190.0
    site.see(A, 20.0)
    site.see("SAXS1:State", 8.0, 2, "FAULT")
    assert [entry.step for entry in site.journal.entries(A)] == ["cleared", "raised"]
    assert [(entry.alarm, entry.step) for entry in site.journal.entries(hours=1.0)] == [
        ("SAXS1:State", "raised"),
        (A, "cleared"),
    ]


def test_what_was_not_measured_yet_is_no_alarm_and_what_stays_so_is(site: Site) -> None:
    site.see(A, 0.0, severity=3)
    site.later(4.9)
    site.see(A, 77.0)
    assert site.shown == []
    site.see(A, 0.0, severity=3)
    assert site.shown == [(A, Stand.UNACKNOWLEDGED)], "it had a value before"


def test_an_input_without_a_sensor_is_an_alarm_after_five_seconds(site: Site) -> None:
    site.see(A, 0.0, severity=3)
    site.later(4.9)
    assert site.shown == []
    site.later(0.2)
    assert site.shown == [(A, Stand.UNACKNOWLEDGED)]
    site.see(A, 77.0)
    site.lose(A)
    site.see(A, 0.0, severity=3)
    assert site.alarms.alarm(A).severity is Severity.NO_ALARM, "its device came back just now"
    site.later(5.0)
    assert site.alarms.alarm(A).severity is Severity.INVALID
