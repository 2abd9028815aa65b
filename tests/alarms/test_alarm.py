"""The life of one alarm: what operators see of it, step by step."""

from __future__ import annotations

import pytest

from devices.core.errors import NotAllowedError
from servers.alarms.alarm import Alarm, Manner, Memory, Stand, Step
from servers.epics.alarm import Severity

MINOR, MAJOR, NO_ALARM = Severity.MINOR, Severity.MAJOR, Severity.NO_ALARM
HOT = "93.5 K: above 90 K"


def raised(severity: Severity = MAJOR, manner: Manner | None = None) -> Alarm:
    alarm = Alarm("CRYO1:TemperatureA", manner)
    alarm.see(severity, HOT, 1000.0)
    return alarm


def test_an_alarm_is_unacknowledged_then_acknowledged_then_gone() -> None:
    alarm = Alarm("CRYO1:TemperatureA")
    assert alarm.stand is Stand.NORMAL and not alarm.is_listed
    assert alarm.see(MAJOR, HOT, 1000.0) == [Step.RAISED]
    assert (alarm.stand, alarm.severity, alarm.memory.text) == (Stand.UNACKNOWLEDGED, MAJOR, HOT)
    assert alarm.acknowledge("ada") == [Step.ACKNOWLEDGED]
    assert alarm.acknowledge("bob") == []
    assert (alarm.stand, alarm.memory.acknowledged_by) == (Stand.ACKNOWLEDGED, "ada")
    assert alarm.see(NO_ALARM, "", 1010.0) == [Step.CLEARED]
    assert alarm.stand is Stand.NORMAL and alarm.memory.cleared_s == 1010.0


def test_an_alarm_that_went_before_anybody_looked_stays_until_it_is_acknowledged() -> None:
    alarm = raised()
    alarm.see(NO_ALARM, "", 1003.0)
    assert (alarm.stand, alarm.worst, alarm.memory.text) == (Stand.RETURNED, MAJOR, HOT)
    alarm.acknowledge("ada")
    assert alarm.stand is Stand.NORMAL and alarm.worst is NO_ALARM


def test_one_that_does_not_latch_leaves_by_itself() -> None:
    alarm = raised(manner=Manner(latches=False))
    assert alarm.see(NO_ALARM, "", 1003.0) == [Step.CLEARED]
    assert alarm.stand is Stand.NORMAL


def test_a_major_alarm_nobody_saw_is_not_hidden_by_a_minor_one_after_it() -> None:
    alarm = raised()
    alarm.see(NO_ALARM, "", 1003.0)
    assert alarm.see(MINOR, "85 K", 1005.0) == [Step.RAISED]
    assert (alarm.severity, alarm.worst) == (MINOR, MAJOR)


def test_one_that_gets_worse_wants_to_be_acknowledged_again_and_one_that_swings_does_not() -> None:
    alarm = raised(MINOR)
    alarm.acknowledge("ada")
    assert alarm.see(MAJOR, HOT, 1001.0) == [Step.WORSE]
    assert alarm.stand is Stand.UNACKNOWLEDGED
    alarm.acknowledge("ada")
    for second in range(5):
        assert alarm.see(MINOR if second % 2 else MAJOR, HOT, 1002.0 + second) == []
    assert alarm.stand is Stand.ACKNOWLEDGED


def test_a_delay_swallows_what_does_not_last() -> None:
    alarm = Alarm("CRYO1:TemperatureA", Manner(delay_s=5.0))
    assert alarm.see(MAJOR, HOT, 1000.0) == []
    assert alarm.tick(1004.9) == [] and alarm.severity is NO_ALARM and alarm.stand is Stand.NORMAL
    assert alarm.see(NO_ALARM, "", 1004.95) == []
    assert alarm.see(MAJOR, HOT, 1005.0) == []
    assert alarm.tick(1009.9) == []
    assert alarm.tick(1010.0) == [Step.RAISED]


def test_a_clock_that_is_set_back_does_not_make_a_delay_longer_than_it_is() -> None:
    alarm = Alarm("CRYO1:TemperatureA", Manner(delay_s=5.0))
    alarm.see(MAJOR, HOT, 10_000.0)
    assert alarm.tick(1000.0) == []
    assert alarm.tick(1005.0) == [Step.RAISED]


def test_a_shelf_ends_by_itself_and_what_is_still_wrong_is_new_then() -> None:
    alarm = raised()
    alarm.acknowledge("ada")
    alarm.shelve(1600.0, "bob", "the heater is changed")
    assert alarm.stand is Stand.SHELVED and not alarm.is_listed
    assert alarm.tick(1599.9) == []
    assert alarm.tick(1600.0) == [Step.UNSHELVED]
    assert (alarm.stand, alarm.memory.set_aside_by) == (Stand.UNACKNOWLEDGED, "")


def test_what_cleared_on_the_shelf_does_not_come_back() -> None:
    alarm = raised()
    alarm.shelve(1600.0, "bob", "")
    alarm.see(NO_ALARM, "", 1500.0)
    assert alarm.stand is Stand.SHELVED
    assert alarm.unshelve() == [Step.UNSHELVED]
    assert alarm.stand is Stand.NORMAL and alarm.worst is NO_ALARM


def test_an_alarm_out_of_service_stays_out_and_cannot_be_shelved() -> None:
    alarm = raised()
    alarm.shelve(1600.0, "bob", "")
    assert alarm.take_out("ada", "sensor broken") == [Step.TAKEN_OUT]
    assert alarm.tick(9999.0) == [] and alarm.stand is Stand.OUT_OF_SERVICE
    with pytest.raises(NotAllowedError, match=r"CRYO1:TemperatureA is out of service, by ada"):
        alarm.shelve(9999.0, "bob", "")
    with pytest.raises(NotAllowedError, match="not shelved"):
        alarm.unshelve()
    assert alarm.put_back() == [Step.PUT_BACK]
    assert alarm.stand is Stand.UNACKNOWLEDGED
    with pytest.raises(NotAllowedError, match="in service"):
        alarm.put_back()


def test_an_alarm_is_after_a_restart_where_it_was() -> None:
    before = raised()
    before.acknowledge("ada")
    after = Alarm(before.name, memory=Memory(**before.memory.as_dict()))
    assert after.tick(2000.0) == []
    assert after.see(MAJOR, HOT, 2001.0) == []
    assert (after.stand, after.memory.acknowledged_by, after.memory.raised_s) == (Stand.ACKNOWLEDGED, "ada", 1000.0)
