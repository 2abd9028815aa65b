from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, DiptychError, NotAllowedError, RangeError
from servers.epics.access import Access, Client
from servers.epics.alarm import GOOD, STATES, Alarm, Quality, Severity, Status, judge, judge_state
from servers.epics.arguments import Arguments
from servers.epics.audit import Audit
from servers.epics.declaration import ArgumentSpec, CommandSpec
from servers.epics.gate import Gate
from servers.epics.records import Facts, Kind, Put, Reading, Record

HERE = Client("ca", "127.0.0.1", 40000)
WARNING, ALARM = (4.0, 310.0), (2.0, 350.0)


@pytest.mark.parametrize(
    ("quality", "kelvin", "alarm"),
    [
        (Quality.VALID, 77.0, (Severity.NO_ALARM, Status.NO_ALARM)),
        (Quality.CHANGING, 77.0, (Severity.NO_ALARM, Status.NO_ALARM)),
        (Quality.WARNING, 310.0, (Severity.MINOR, Status.HIGH)),  # at the bound is over it already
        (Quality.WARNING, 4.0, (Severity.MINOR, Status.LOW)),
        (Quality.WARNING, 77.0, (Severity.MINOR, Status.STATE)),
        (Quality.ALARM, 400.0, (Severity.MAJOR, Status.HIHI)),
        (Quality.ALARM, 1.0, (Severity.MAJOR, Status.LOLO)),
        (Quality.ALARM, 320.0, (Severity.MAJOR, Status.STATE)),
        (Quality.ALARM, math.nan, (Severity.MAJOR, Status.STATE)),
        (Quality.INVALID, 77.0, (Severity.INVALID, Status.READ)),
    ],
)
def test_a_quality_becomes_a_severity_and_the_bounds_say_which_side(
    quality: Quality, kelvin: float, alarm: tuple[Severity, Status]
) -> None:
    found = judge(quality, kelvin, WARNING, ALARM)
    assert (found.severity, found.status) == alarm


def test_an_alarm_that_the_device_holds_by_hysteresis_keeps_its_side() -> None:
    assert judge(Quality.ALARM, 349.0, WARNING, ALARM).status == Status.STATE
    assert judge(Quality.ALARM, 349.0, WARNING, ALARM, 2.0).status == Status.HIHI
    assert judge(Quality.WARNING, 5.5, WARNING, ALARM, 2.0).status == Status.LOW
    assert judge(Quality.WARNING, 77.0, WARNING, ALARM, 2.0).status == Status.STATE


def test_in_an_array_any_element_decides() -> None:
    curve = np.array([77.0, math.nan, 360.0, 78.0])
    assert judge(Quality.ALARM, curve, WARNING, ALARM).status == Status.HIHI
    assert judge(Quality.ALARM, np.array([math.nan]), WARNING, ALARM).status == Status.STATE
    assert judge(Quality.WARNING, ("a text",), WARNING, ALARM).status == Status.STATE


def test_only_some_states_are_alarms() -> None:
    severities = {state: judge_state(STATES.index(state)).severity for state in STATES}
    assert severities.pop("FAULT") == Severity.MAJOR
    assert severities.pop("ALARM") == Severity.MINOR
    assert severities.pop("UNKNOWN") == Severity.INVALID
    assert set(severities.values()) == {Severity.NO_ALARM}


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (Kind.FLOAT64, "77.5", 77.5),
        (Kind.FLOAT64, np.array([5]), 5.0),
        (Kind.INT16, "-0x10", -16),
        (Kind.INT16, 12.0, 12),
        (Kind.UINT64, "18446744073709551615", 2**64 - 1),
        (Kind.BOOL, "On", True),
        (Kind.BOOL, 0, False),
        (Kind.ENUM, "blue", 2),
        (Kind.ENUM, "1", 1),
        (Kind.ENUM, np.uint16(2), 2),
        (Kind.STRING, "Grüße", "Grüße"),
        (Kind.STRING, 5, "5"),
    ],
)
def test_what_a_client_sends_becomes_the_type_of_the_record(kind: Kind, raw: Any, value: Any) -> None:
    converted = Record("A", kind, facts=Facts(labels=("open", "red", "blue"))).convert(raw)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw", "error"),
    [
        (Kind.FLOAT64, "warm", BadValueError),
        (Kind.FLOAT64, [1.0, 2.0], BadValueError),
        (Kind.INT16, 40_000, RangeError),
        (Kind.INT16, 2.5, BadValueError),
        (Kind.UINT8, -1, RangeError),
        (Kind.ENUM, 3, RangeError),
        (Kind.ENUM, "green", BadValueError),
        (Kind.STRING, "ä" * 41, RangeError),
    ],
)
def test_what_does_not_fit_is_refused(kind: Kind, raw: Any, error: type[DiptychError]) -> None:
    record = Record("CRYO1:A", kind, text_limit=40, facts=Facts(labels=("open", "red", "blue")))
    with pytest.raises(error, match="CRYO1:A"):
        record.convert(raw)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.binary(), st.lists(st.floats()), st.none()))
def test_no_value_whatever_gets_past_the_gate_unconverted(raw: Any) -> None:
    seen: list[Any] = []
    record = Record("A", Kind.INT16, handler=lambda put: (seen.append(put.value), put.finish())[0])
    put = Gate(Access(), Audit(None)).put(record, raw, HERE)
    if put.done.exception() is None:
        assert isinstance(seen[0], int)
        assert -32768 <= seen[0] <= 32767
    else:
        assert isinstance(put.done.exception(), DiptychError)


def test_arrays_keep_their_length_and_type() -> None:
    record = Record("A", Kind.INT32, rank=1, max_length=4)
    assert record.convert(np.array([1.0, 2.0])).tolist() == [1, 2]
    assert record.convert(7).tolist() == [7]
    assert record.convert(np.array([1, 2, 3], np.int16)).dtype == np.int32
    with pytest.raises(RangeError, match="5 elements, more than 4"):
        record.convert(np.zeros(5, np.int32))
    texts = Record("B", Kind.STRING, rank=1, max_length=2)
    assert texts.convert(["a", "b"]) == ["a", "b"]


def test_a_listener_hears_each_change_and_takes_the_newest() -> None:
    record, heard = Record("A", Kind.FLOAT64), []

    def listener() -> None:
        heard.append(record.reading.value)

    record.listen(listener)
    record.publish(Reading(1.0, 5))
    record.mark(Alarm(Severity.INVALID, Status.LINK, "gone"))
    record.mark(Alarm(Severity.INVALID, Status.LINK, "gone"))
    record.configure(Facts(unit="K"))
    record.configure(Facts(unit="K"))
    record.unlisten(listener)
    record.publish(Reading(2.0, 6))
    assert heard == [1.0, 1.0, 1.0]


def test_a_device_that_is_gone_leaves_the_last_value_and_its_time() -> None:
    record = Record("A", Kind.FLOAT64)
    record.publish(Reading(77.0, 1_700_000_000_000_000_001))
    record.mark(Alarm(Severity.INVALID, Status.LINK, "gone"))
    assert (record.reading.value, record.reading.timestamp_ns) == (77.0, 1_700_000_000_000_000_001)
    assert record.reading.alarm.status == Status.LINK


def test_a_refusal_stands_in_the_error_record_until_a_put_succeeds() -> None:
    record = Record("CRYO1:Setpoint1", Kind.FLOAT64, handler=lambda put: put.finish())
    record.error = Record("CRYO1:Setpoint1:Error", Kind.STRING, value="")
    gate = Gate(Access(), Audit(None))
    assert isinstance(gate.put(record, "warm", HERE).done.exception(), BadValueError)
    assert record.error.reading.value.startswith("BadValueError: CRYO1:Setpoint1 = 'warm'")
    assert gate.put(record, 77.5, HERE).done.result() is None
    assert record.error.reading.value == ""
    assert (gate.puts, gate.refused) == (2, 1)


def test_a_client_that_is_not_allowed_never_reaches_the_device() -> None:
    reached: list[Put] = []
    record = Record("CRYO1:Setpoint1", Kind.FLOAT64, handler=reached.append)
    put = Gate(Access(), Audit(None)).put(record, 77.5, Client("pva", "10.9.9.9"))
    assert isinstance(put.done.exception(), NotAllowedError)
    assert isinstance(put.accepted.exception(), NotAllowedError)
    assert reached == []


def test_a_put_that_goes_on_is_accepted_before_it_is_done() -> None:
    record = Record("A", Kind.FLOAT64, handler=lambda put: put.accept())
    put = Gate(Access(), Audit(None)).put(record, 1, HERE)
    assert put.accepted.done()
    assert not put.done.done()
    put.finish(RangeError("too long"))
    assert put.accepted.exception() is None
    assert isinstance(put.done.exception(), RangeError)


def test_a_record_without_a_value_says_so() -> None:
    assert Record("A", Kind.FLOAT64).reading.alarm.status == Status.UDF
    assert Record("A", Kind.STRING, value="").reading.alarm is GOOD


def test_what_only_reads_is_not_in_the_audit_unless_it_is_refused(tmp_path: Path) -> None:
    record = Record("MIRROR1:ListPVs", Kind.INT32, value=0, handler=lambda put: put.finish(), takes_anything=True)
    record.reads_only = True
    gate = Gate(Access(), Audit(tmp_path / "audit.jsonl"))
    assert gate.put(record, 1, HERE).done.exception() is None
    gate.put(record, 1, Client("pva", "10.9.9.9"))
    gate.audit.close()
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["result"].startswith("NotAllowedError")


@pytest.mark.parametrize(
    ("limits", "begins_at"),
    [((1, 4), 1), ((-5, -2), -2), ((-5, 5), 0), ((None, 4), 0), ((2, None), 2), ((None, None), 0)],
)
def test_an_argument_without_a_default_begins_at_the_number_nearest_to_zero_that_is_allowed(
    limits: tuple[int | None, int | None], begins_at: int
) -> None:
    loop = ArgumentSpec("loop", Kind.INT32, 0, facts=Facts(limits=limits))
    spec = CommandSpec("tune", "AutoTune", True, (loop,), None, "operator", "", "refuse", True)
    assert Arguments("CRYO1:AutoTune", spec).records["loop"].reading.value == begins_at
