"""A facility file says what it means, and everything that is wrong with it, in one go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import ConfigurationError, RangeError
from servers.facility.facility_file import Facility, read_facility
from servers.facility.ports import Ports
from servers.facility.references import resolve

CHECKOUT = Path(__file__).parents[2]
CRYOCON = {"CryoCon": {"cryo/cryocon/1": {"properties": {"link": ["tcp://@sim.cryocon1"], "pv_prefix": ["CRYO1:"]}}}}
EXTRA = {
    "classes": {"CryoCon": "devices.core:Device"},
    "simulators": {"cryocon1": {"kind": "cryocon", "port": 5000, "options": {"model": "24C", "folder": "@state/pics"}}},
}


def write(folder: Path, servers: Any, extra: Any = EXTRA) -> Path:
    path = folder / "bench.json"
    path.write_text(servers if isinstance(servers, str) else json.dumps({"servers": servers}))
    path.with_suffix(".facility.yaml").write_text(extra if isinstance(extra, str) else json.dumps(extra))
    return path


def read(path: Path, offset: int = 0) -> Facility:
    return read_facility(path, state_dir=path.parent / "state", offset=offset)


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    return list(caught.value.problems)


@pytest.mark.parametrize("path", sorted((CHECKOUT / "dbconfig").glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_facility_is_sound(path: Path, tmp_path: Path) -> None:
    facility = read_facility(path, state_dir=tmp_path)
    assert facility.start_order


def test_a_reference_becomes_the_shifted_endpoint(tmp_path: Path) -> None:
    facility = read(write(tmp_path, {"Diptych": {"cryocon": CRYOCON}}), offset=200)
    assert facility.server("cryocon")["CryoCon"]["cryo/cryocon/1"]["link"] == ["tcp://127.0.0.1:5200"]
    assert facility.simulators["cryocon1"].port == 5200
    assert facility.simulators["cryocon1"].options["folder"] == str(tmp_path / "state" / "pics")
    assert facility.start_order == ("Diptych/cryocon",)


def test_an_unknown_instance_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    facility = read(write(tmp_path, {"Diptych": {"cryocon": CRYOCON}}))
    with pytest.raises(ConfigurationError, match=r"no server cryocom; did you mean cryocon\?"):
        facility.server("cryocom")


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    servers = {
        "Diptych": {
            "cryocon": CRYOCON,
            "second": {
                "CryoCon": {
                    "Cryo/CryoCon/1": {"properties": {"link": ["tcp://@sim.cryocon2"]}},
                    "cryo/cryocon/2": {"properties": {"pv_prefix": ["CRYO1:"]}},
                },
                "CryoKon": {"cryo/cryocon/3": {}},
            },
        }
    }
    extra = {
        **EXTRA,
        "mirrors": ["mirror"],
        "start_order": ["kryocon"],
        "ports": {"tagno": 10010},
        "simulators": {**EXTRA["simulators"], "saxs1": {"kind": "no_such_kind"}},
    }
    told = "\n".join(problems(write(tmp_path, servers, extra)))
    assert "link: @sim.cryocon2: sim.cryocon2 is not a service of the port table; did you mean sim.cryocon1?" in told
    assert "Cryo/CryoCon/1: is a device of Diptych/cryocon/CryoCon and of Diptych/second/CryoCon" in told
    assert "cryo/cryocon/2: pv_prefix CRYO1: is that of cryo/cryocon/1 too" in told
    assert "unknown class CryoKon" in told and "did you mean CryoCon?" in told
    assert "mirrors: no server Diptych/mirror" in told
    assert "start_order: no server Diptych/kryocon; did you mean cryocon?" in told
    assert "ports > tagno: unknown service; did you mean tango?" in told
    assert "there is no module devices.simulators.no_such_kind" in told
    assert len(told.splitlines()) == 8


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ({"Diptych": {"cryocon": {"CryoCon": {"cryo/cryocon": {}}}}}, "unknown key cryo/cryocon; it must match"),
        (
            {"Diptych": {"cryocon": {"CryoCon": {"cryo/cryocon/1": {"propertys": {}}}}}},
            "servers > Diptych > cryocon > CryoCon > cryo/cryocon/1: unknown key propertys; did you mean properties?",
        ),
        (
            {"Diptych": {"cryocon": {"CryoCon": {"cryo/cryocon/1": {"properties": {"link": "tcp://a"}}}}}},
            'cryo/cryocon/1 > properties > link: must be a list, is "tcp://a"',
        ),
        (
            {"Diptych": {"cryocon": {"CryoCon": {"cryo/cryocon/1": {"properties": {"period": [0.5]}}}}}},
            "properties > period > 0: must be a text, is 0.5",
        ),
        ('{"servers": {\n  "Diptych": {,}}}', "line 2 column 15: not JSON"),
        ('{"servers": {}, "servers": {}}', "servers stands twice in one group"),
        ("\xff", "line 1 column 1: not JSON"),
    ],
)
def test_a_wrong_json_file_is_told_with_the_key_or_line(tmp_path: Path, servers: Any, expected: str) -> None:
    assert expected in "\n".join(problems(write(tmp_path, servers)))


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("simulators:\n  a: {kind: [}\n", "line 2 column"),
        ("simulators:\n  a: {kind: saxs}\n  a: {kind: saxs}\n", "line 3 column 3: not YAML: a stands twice"),
        ("classes: !!python/object/apply:os.system [ls]\n", "not YAML: could not determine a constructor"),
        ("simulators:\n  a: {kind: saxs, prot: 5000}\n", "simulators > a: unknown key prot; did you mean port?"),
        ("simulators:\n  a: {kind: saxs, port: fifty}\n", 'simulators > a > port: must be a whole number, is "fifty"'),
        ("simulators:\n  a: {port: 5000}\n", "simulators > a: 'kind' is a required property"),
        ("simulators:\n  a: {kind: saxs, port: 70000}\n", "simulators > a > port: 70000 is greater than the maximum"),
        ("- 1\n", "must be a group of keys, is [1]"),
    ],
)
def test_a_wrong_yaml_file_is_told_with_the_key_or_line(tmp_path: Path, extra: str, expected: str) -> None:
    assert expected in "\n".join(problems(write(tmp_path, {"Diptych": {}}, extra)))


def test_a_missing_file_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    write(tmp_path, {})
    assert problems(tmp_path / "bensh.json") == ["no such file; did you mean bench.json?"]


def test_an_offset_cannot_shift_a_port_out_of_range() -> None:
    with pytest.raises(RangeError, match=r"port of daqdata = 50051 \+ offset 20000 = 70051 is outside \[1, 65535\]"):
        Ports(offset=20000)


def test_two_services_on_one_port_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"Diptych": {}}, {"simulators": {"a": {"kind": "saxs", "port": 5064}}})
    assert problems(path) == ["port 5064: both ca and sim.a have it"]


FOLDERS = {"state": Path("/state"), "here": Path("/lab")}


@given(st.text())
def test_text_without_a_reference_stays_as_it_is(text: str) -> None:
    plain = text.replace("@", "")
    assert resolve(plain, Ports(), FOLDERS) == (plain, [])


@given(st.text(alphabet="@a.sim/port:tango0 state", max_size=30))
def test_any_text_is_resolved_or_its_reference_is_named(text: str) -> None:
    value, unknown = resolve(text, Ports(), FOLDERS)
    assert unknown == [] or value.count("@") >= 1


def test_references_stand_within_text() -> None:
    ports = Ports(offset=3)
    assert resolve("tcp://@tango/x", ports, FOLDERS) == ("tcp://127.0.0.1:10003/x", [])
    assert resolve("@port.ca @state/saxs", ports, FOLDERS) == ("5067 /state/saxs", [])
    assert resolve("@here/lab.devices.yaml", ports, FOLDERS) == ("/lab/lab.devices.yaml", [])
    assert resolve("observer@site.org, @@here", ports, FOLDERS) == ("observer@site.org, @here", [])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_facility_or_a_clear_error(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.json"
        path.write_bytes(content)
        path.with_suffix(".facility.yaml").write_bytes(content)
        try:
            read(path)
        except ConfigurationError as error:
            assert error.problems and all("\n" not in problem for problem in error.problems)
