"""Facility files and both kinds of Tango database: the same differences, the same texts, nothing left over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tango

from servers import registry
from servers.facility.facility_file import read_facility
from servers.facility.tango_database import open_database
from servers.tango_server.store import DatabaseStore
from tests.facility.running import CHECKOUT, command
from tests.production.mariadb import DataBaseds

pytestmark = pytest.mark.production

FILES = sorted((CHECKOUT / "dbconfig").glob("*.json"))

# What a property may hold: the JSON of an alarm rule, a folder of Windows, a title, a pattern, a unit.
AWKWARD = {
    "rule": ['{"when": "temperature_a > 95", "say": "too \\"warm\\"\\n"}'],
    "folder": [r"C:\new\tables", "ends with\\"],
    "title": ["it's 100 % _sure_; DROP TABLE device; -- no"],
    "unit": ["Ω", "µm", "größe 🙂"],
    "lines": ["first", "", "third", "  with spaces  ", "a\ttab"],
    "text": ["two\nlines"],
    "hash": ["# no comment"],
    "many": [f"channel {number}" for number in range(1000)],
    "long": ["x" * 60_000],
}


@pytest.fixture
def database(tango_host: str) -> Iterator[tango.Database]:
    """The database, without what a former test registered."""
    database = open_database(tango_host)
    yield database
    for server in database.get_server_list("Diptych/*"):
        database.delete_server(server)


def write(folder: Path, servers: dict[str, Any], **more: Any) -> Path:
    path = folder / "bench.json"
    path.write_text(json.dumps({"servers": {"Diptych": servers}, **more}))
    return path


def told(file: Path, database: tango.Database) -> list[str]:
    """The differences between a file and the database."""
    facility = read_facility(file, state_dir=file.parent, to_run=False)
    return [str(change) for change in registry.differences(facility, database)]


def register(file: Path, database: tango.Database) -> None:
    facility = read_facility(file, state_dir=file.parent, to_run=False)
    registry.apply(registry.differences(facility, database), database)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_facility_registers_once(file: Path, tango_host: str, database: tango.Database, tmp_path: Path) -> None:
    words = ["register", file, "--tango-host", tango_host, "--state-dir", tmp_path]
    first, second = command(*words), command(*words)
    assert re.search(r"^\d+ changes made", first.stdout, re.MULTILINE), first.stderr
    assert "nothing to do" in second.stdout
    devices = read_facility(file, state_dir=tmp_path, to_run=False).device_names()
    assert all(database.get_device_info(device).class_name for device in devices)
    removed = command(*words, "--remove")
    assert all(f"- device {device}:" in removed.stdout for device in devices), removed
    assert "nothing to do" in command(*words, "--remove").stdout


def test_a_text_comes_back_as_it_was(tmp_path: Path, database: tango.Database) -> None:
    device = {"properties": AWKWARD, "attribute_properties": {"temperature_a": AWKWARD}, "alias": "Fridge_1"}
    file = write(
        tmp_path,
        {"Bench_1": {"CryoCon": {"Lab/Cryo_Con/1-A": device}}},
        classes={"ProductionTest": {"properties": AWKWARD}},
    )
    register(file, database)
    assert told(file, database) == []
    stored = database.get_device_property("lab/cryo_con/1-a", list(AWKWARD))
    assert {name: list(lines) for name, lines in stored.items()} == AWKWARD
    assert database.get_device_alias("fridge_1").casefold() == "lab/cryo_con/1-a"
    database.delete_class_property("ProductionTest", list(AWKWARD))


def test_a_memorized_text_comes_back_as_it_was(
    tmp_path: Path, database: tango.Database, tango_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(write(tmp_path, {"a": {"CryoCon": {"lab/cryo/1": {}}}}), database)
    monkeypatch.setenv("TANGO_HOST", tango_host)
    texts = {"title": 'sample "A\\B\\"', "path": "C:\\new\\", "unit": "Ω\n"}
    DatabaseStore("lab/cryo/1", list(texts)).save({name: json.dumps(text) for name, text in texts.items()})
    kept = DatabaseStore("lab/cryo/1", list(texts)).load()
    assert {name: json.loads(text) for name, text in kept.items()} == texts


def test_a_name_with_an_underscore_means_itself_only(tmp_path: Path, database: tango.Database) -> None:
    both = write(tmp_path, {"a_1": {"CryoCon": {"lab/cryo/1": {}}}, "ax1": {"CryoCon": {"lab/cryo/2": {}}}})
    register(both, database)
    one = write(tmp_path, {"a_1": {"CryoCon": {"lab/cryo/1": {"properties": {"model": ["24C"]}}}}})
    assert told(one, database) == ["+ lab/cryo/1 model = 24C"]


def test_the_difference_names_what_changed_what_went_and_what_moved(tmp_path: Path, database: tango.Database) -> None:
    link = {"properties": {"link": ["tcp://10.1.2.3:5000"], "model": ["24C"], "old": ["1"]}}
    register(write(tmp_path, {"a": {"CryoCon": {"lab/cryo/1": link, "lab/cryo/2": {}}}}), database)
    link = {"properties": {"link": ["tcp://10.1.2.4:5000"], "model": ["24C"]}}
    file = write(tmp_path, {"a": {"CryoCon": {"lab/cryo/1": link}}, "b": {"Monitor": {"lab/cryo/2": {}}}})
    assert told(file, database) == [
        "~ lab/cryo/1 link: tcp://10.1.2.3:5000 -> tcp://10.1.2.4:5000",
        "- lab/cryo/1 old (was 1)",
        "- device lab/cryo/2: class CryoCon in server Diptych/a",
        "~ device lab/cryo/2: server Diptych/a -> Diptych/b, class Monitor",
    ]
    register(file, database)
    assert told(file, database) == []


def test_what_tango_and_clients_keep_stays(tmp_path: Path, database: tango.Database) -> None:
    file = write(tmp_path, {"a": {"CryoCon": {"lab/cryo/1": {"properties": {"model": ["24C"]}}}}})
    register(file, database)
    database.put_device_property("lab/cryo/1", {"polled_attr": ["state", "1000"]})
    database.put_device_attribute_property(
        "lab/cryo/1", {"setpoint_1": {"__value": ["77.5"]}, "temperature_a": {"max_alarm": ["305"]}}
    )
    assert told(file, database) == []


def test_removing_takes_only_the_servers_of_the_file(tmp_path: Path, database: tango.Database) -> None:
    kept = {"attribute_properties": {"temperature_a": {"max_alarm": ["305"]}}, "properties": {"model": ["24C"]}}
    other = {"CryoCon": {"lab/cryo/2": kept}}
    register(write(tmp_path, {"a": {"CryoCon": {"lab/cryo/1": kept}}, "b": other}), database)
    facility = read_facility(
        write(tmp_path, {"a": {"CryoCon": {"lab/cryo/1": kept}}}), state_dir=tmp_path, to_run=False
    )
    changes = registry.removal(facility, database)
    assert [str(change) for change in changes] == [
        "- device lab/cryo/1: class CryoCon in server Diptych/a",
        "- server Diptych/a",
    ]
    registry.apply(changes, database)
    assert list(database.get_device_property_list("lab/cryo/1", "*")) == []
    assert not database.get_device_attribute_property("lab/cryo/1", ["temperature_a"])["temperature_a"]
    assert told(write(tmp_path, {"b": other}), database) == []


def test_a_facility_moves_to_another_database_with_what_clients_have_set(
    tmp_path: Path, production: DataBaseds, embedded: str
) -> None:
    source, target = open_database(embedded), open_database(production.tango_host)
    file = write(
        tmp_path, {"a": {"CryoCon": {"lab/cryo/1": {"attribute_properties": {"temperature_a": {"unit": ["K"]}}}}}}
    )
    register(file, source)
    set_by_clients = {"temperature_a": {"max_alarm": ["305"], "unit": ["C"]}, "setpoint_1": {"__value": ["77.5"]}}
    source.put_device_attribute_property("lab/cryo/1", set_by_clients)
    words = ["register", file, "--tango-host", production.tango_host, "--state-dir", tmp_path]
    moved = command(*words, "--copy-from", embedded)
    assert moved.stdout.splitlines()[:-1] == [
        "+ device lab/cryo/1: class CryoCon in server Diptych/a",
        "+ lab/cryo/1/temperature_a unit = K",
        "+ lab/cryo/1/setpoint_1 __value = 77.5",
        "+ lab/cryo/1/temperature_a max_alarm = 305",
    ], moved.stderr
    assert "nothing to do" in command(*words, "--copy-from", embedded).stdout
    stored = target.get_device_attribute_property("lab/cryo/1", ["setpoint_1"])["setpoint_1"]
    assert list(stored["__value"]) == ["77.5"]
    for database in (source, target):
        database.delete_server("Diptych/a")


def test_a_text_that_mariadb_cannot_hold_is_refused_by_name(tmp_path: Path, production: DataBaseds) -> None:
    # A TEXT column: 65 535 bytes.
    properties = {"model": ["24C"], "notes": ["x" * 70_000], "zone": ["B 12"]}
    file = write(tmp_path, {"a": {"CryoCon": {"lab/cryo/1": {"properties": properties}}}})
    words = ["register", file, "--tango-host", production.tango_host, "--state-dir", tmp_path]
    answer = command(*words)
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    assert "lab/cryo/1 notes" in line and "too long" in line
    database = open_database(production.tango_host)
    assert list(database.get_device_property_list("lab/cryo/1", "*")) == ["model"]
    database.delete_server("Diptych/a")
