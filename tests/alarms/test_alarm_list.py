"""Files of alarms: what they say, and that all that is wrong in one is said at once, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices.core.errors import ConfigurationError
from servers.alarms.alarm import Manner
from servers.alarms.alarm_list import AlarmList, Recipient, read_alarm_list
from servers.alarms.formula import Seen
from servers.epics.alarm import Severity
from tests.support.serving import ROOT

GOOD = """
pvs:
  - {pv: "CRYO1:*Power", off: true}
  - {tango: "cryo/*", delay: 2 s, latch: false, guidance: Look at the dewar., tell: [shift]}
rules:
  Warm:
    when: CRYO1:TemperatureA > 90 and CRYO1:ControlOn == "On"
    severity: MAJOR
    message: "Cold finger at {CRYO1:TemperatureA} K, control {CRYO1:ControlOn}"
    delay: 1 min
    tell: [shift, hook]
tell:
  shift: {mail: [a@site.example, b@site.example], sender: alarms@site.example, server: "localhost:2525"}
  hook: {webhook: "http://127.0.0.1:8080/alarm"}
"""


def listed(tmp_path: Path, text: str) -> AlarmList:
    file = tmp_path / "alarms.site.yaml"
    file.write_text(text)
    return read_alarm_list(file)


def test_a_file_says_how_pvs_behave_what_else_is_wrong_and_who_is_told(tmp_path: Path) -> None:
    found = listed(tmp_path, GOOD)
    assert found.entry("CRYO1:Loop1Power", "cryo/cryocon/1", "power").is_off
    dewar = Manner(2.0, False, "Look at the dewar.", ("shift",))
    assert found.entry("CRYO1:TemperatureA", "CRYO/cryocon/1", "temperature_a").manner == dewar
    assert found.entry("SAXS1:Count", "saxs/detector/1", "count").manner == Manner()
    (rule,) = found.rules
    assert (rule.name, rule.severity, rule.manner) == ("Warm", Severity.MAJOR, Manner(60.0, tell=("shift", "hook")))
    assert rule.names == {"CRYO1:TemperatureA", "CRYO1:ControlOn"}
    inputs = {"CRYO1:TemperatureA": Seen(93.5), "CRYO1:ControlOn": Seen(1.0, "On")}
    assert rule.text(inputs) == "Cold finger at 93.5 K, control On"
    assert rule.text({"CRYO1:TemperatureA": Seen(93.5, is_connected=False)}) == "Cold finger at ? K, control ?"
    mails = ("a@site.example", "b@site.example")
    assert found.recipients["shift"] == Recipient("shift", mails, "localhost:2525", "alarms@site.example")
    assert found.recipients["hook"].webhook == "http://127.0.0.1:8080/alarm"


def test_the_list_of_the_documentation_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "alarms.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    found = listed(tmp_path, text)
    assert [rule.name for rule in found.rules] == ["Warm"] and set(found.recipients) == {"shift", "logbook"}
    assert found.entry("CRYO1:State", "cryo/cryocon/1", "State").manner.delay_s == 5.0


def test_an_empty_file_is_the_severity_of_every_pv(tmp_path: Path) -> None:
    assert listed(tmp_path, "") == AlarmList()


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = """
pvs:
  - {pv: "CRYO1:*", delay: soon}
rules:
  Warm:
    when: CRYO1:TemperatureA >
    severity: MAJOR
    message: warm
  Cold:
    when: CRYO1:TemperatureA < 5
    severity: MINOR
    message: "{temperature} K"
    tell: [nobody]
"""
    with pytest.raises(ConfigurationError) as caught:
        listed(tmp_path, text)
    said = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4, said
    for part in ("pvs > 0 > delay", "rules > Warm > when: 'CRYO1:TemperatureA >': it ends at character 21"):
        assert part in said
    assert "{temperature} is neither a PV nor a Tango attribute" in said
    assert "nobody is not in the section tell" in said
    assert "line 6" in said


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rules: {Warm: {when: A:B, severity: INVALID, message: x}}", "rules > Warm > severity"),
        ("rules: {'a b': {when: A:B, severity: MINOR, message: x}}", "a b"),
        ("tell: {hook: {webhook: 'file:///etc/passwd'}}", "tell > hook > webhook"),
        ("tell: {shift: {mail: [a@b.c]}}", "tell > shift"),
        ("tell: {shift: {mail: [a@b.c], sender: d@e.f, server: 'localhost:smtp'}}", "tell > shift > server"),
        ("tell: {shift: {mail: [], sender: d@e.f}}", "tell > shift > mail"),
        ("pvs: [{off: true}]", "pvs > 0"),
        ("pvs: [{pv: a, latched: true}]", "latched"),
        ("[1, 2]", "must be a group of keys"),
    ],
)
def test_a_mistake_is_said_with_its_place(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        listed(tmp_path, text)
    assert part in str(caught.value)
