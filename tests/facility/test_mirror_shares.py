"""Several mirrors share the devices of a facility: by a rule, and no device is served by two of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices.core.errors import ConfigurationError
from servers.epics.configuration import name_and_prefix
from servers.epics.portion import Portion
from servers.facility.facility_file import read_facility
from servers.facility.mirror_shares import MirrorShare, missing, of_facility, problems
from servers.facility.rehearsal import problems_of
from tests.failover.pair import mirror, write

FLEET = [f"lab/psu/{number}" for number in range(1000)]


def test_every_device_is_in_exactly_one_of_three_portions_and_they_are_of_a_size() -> None:
    portions = [Portion(number, 3) for number in (1, 2, 3)]
    for device in FLEET:
        assert sum(portion.has(device) for portion in portions) == 1
    sizes = [sum(portion.has(device) for device in FLEET) for portion in portions]
    assert min(sizes) > 280 and max(sizes) < 390  # 333 and 15, three times


def test_a_fourth_mirror_takes_devices_from_the_others_and_moves_no_other_one() -> None:
    before = {device: next(n for n in (1, 2, 3) if Portion(n, 3).has(device)) for device in FLEET}
    after = {device: next(n for n in (1, 2, 3, 4) if Portion(n, 4).has(device)) for device in FLEET}
    moved = [device for device in FLEET if before[device] != after[device]]
    assert {after[device] for device in moved} == {4}
    assert 200 < len(moved) < 300


def test_a_device_is_the_same_in_any_case_of_letters_and_with_its_database() -> None:
    for device in FLEET[:50]:
        for name in (device.upper(), f"tango://db.site:10000/{device}", f"tango://db.site:10000/{device}#dbase=no"):
            assert Portion(1, 2).has(name) == Portion(1, 2).has(device)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/1000"])
def test_what_is_no_portion_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not N/M"):
        Portion.parse(text)


def facility(folder: Path, **properties: dict[str, list[str]]) -> Path:
    """Eight devices, and mirrors with these properties, each without a lease unless it has one there."""
    servers = {
        "bench": {"Spectrograph": {f"lab/s/{n}": {"properties": {"pv_prefix": [f"S{n}:"]}} for n in range(8)}},
        **{
            name: mirror(number, "127.0.0.1", **{"lease": [], **given})
            for number, (name, given) in enumerate(properties.items(), 1)
        },
    }
    return write(folder, "shares", servers, mirrors=list(properties), start_order=["bench", *properties])


def told(path: Path) -> list[str]:
    return list(problems(of_facility(read_facility(path, state_dir=path.parent))))


def test_two_mirrors_of_all_devices_are_refused_before_anything_starts(tmp_path: Path) -> None:
    path = facility(tmp_path, left={}, right={})
    found = list(problems_of(read_facility(path, state_dir=tmp_path)))
    assert found == [
        "mirror/epics/1 and mirror/epics/2 serve the same devices (lab/s/0, lab/s/1, lab/s/2 and 5 more): give them a "
        "share each (1/2 and 2/2) or devices, or one lease"
    ]


def test_shares_lists_and_leases_keep_mirrors_apart(tmp_path: Path) -> None:
    assert told(facility(tmp_path / "a", left={"share": ["1/2"]}, right={"share": ["2/2"]})) == []
    assert told(facility(tmp_path / "b", left={"devices": ["lab/s/1"]}, right={"devices": ["LAB/s/2=X:"]})) == []
    assert told(facility(tmp_path / "c", left={"lease": ["one"]}, right={"lease": ["one"]})) == []
    (line,) = told(facility(tmp_path / "d", left={"devices": ["lab/s/1"]}, right={"devices": ["LAB/s/1=X:"]}))
    assert "serve the same devices (lab/s/1)" in line


@pytest.mark.parametrize("prefix", ["", "X:"])
@pytest.mark.parametrize(
    "name", ["lab/s/1", "tango://db.site:10000/lab/s/1", "tango://10.1.2.1:10000/lab/s/1#dbase=no"]
)
def test_a_line_of_the_property_has_a_device_and_maybe_a_prefix(name: str, prefix: str) -> None:
    assert name_and_prefix(f"{name} = {prefix}" if prefix else name) == (name, prefix)


def test_mirrors_that_stand_in_for_each_other_have_the_same_devices(tmp_path: Path) -> None:
    given = {"lease": ["one"]}
    (line,) = told(facility(tmp_path, left=given, right={**given, "devices": ["lab/s/1"]}))
    assert line == "lease one: mirror/epics/1 and mirror/epics/2 serve different devices"


def test_a_portion_that_no_mirror_has_is_told() -> None:
    shares = [MirrorShare("m/e/1", frozenset(), portion="1/3"), MirrorShare("m/e/2", frozenset(), portion="3/3")]
    assert list(missing(shares)) == ["no mirror has the share 2/3, so its devices have no PVs: add one, or share by 2"]
