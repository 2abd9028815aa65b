"""A Tango database is brought up to a facility file, and a second time there is nothing to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tango

from servers import registry
from servers.facility.facility_file import Facility, read_facility
from servers.facility.readiness import database_answers, wait_until
from servers.facility.tango_database import open_database
from tests.facility.running import command, free_port


@pytest.fixture(scope="module")
def tango_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An embedded database."""
    port, state_dir = free_port(), tmp_path_factory.mktemp("database")
    words = ["-m", "servers.facility.database", "--port", str(port), "--state-dir", str(state_dir)]
    with (state_dir / "output").open("w") as output:
        process = subprocess.Popen([sys.executable, "-P", *words], stdout=output, stderr=subprocess.STDOUT)
    try:
        assert wait_until(lambda: database_answers(f"127.0.0.1:{port}"), 15.0)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10.0)


@pytest.fixture
def database(tango_host: str) -> Iterator[tango.Database]:
    """The database, without what a former test registered."""
    database = open_database(tango_host)
    yield database
    for server in database.get_server_list("Diptych/*"):
        database.delete_server(server)
    database.delete_class_property("CryoCon", ["site"])


def facility(folder: Path, servers: Any, classes: Any = None) -> Facility:
    path = folder / "bench.json"
    path.write_text(json.dumps({"servers": {"Diptych": servers}, "classes": classes or {}}))
    return read_facility(path, state_dir=folder, to_run=False)


def cryocon(**content: Any) -> dict[str, Any]:
    return {"CryoCon": {"cryo/cryocon/1": content}}


def told(changes: list[registry.Change]) -> list[str]:
    return [str(change) for change in changes]


def bring_up(wanted: Facility, database: tango.Database, *, whole: bool = False) -> list[str]:
    """Apply the differences, see that none is left, and give what they were."""
    changes = registry.differences(wanted, database, whole=whole)
    registry.apply(changes, database)
    assert told(registry.differences(wanted, database, whole=whole)) == []
    return told(changes)


def test_a_new_facility_is_added_once(tmp_path: Path, database: tango.Database) -> None:
    wanted = facility(
        tmp_path,
        {
            "cryocon": cryocon(
                properties={"link": ["tcp://a:5000"], "init": ["input A:units C", "loop 1:type pid"]},
                attribute_properties={"temperature_a": {"max_alarm": ["310"]}},
                alias="fridge",
            )
        },
        {"CryoCon": {"properties": {"site": ["ESO"]}}},
    )
    assert bring_up(wanted, database) == [
        "+ device cryo/cryocon/1: class CryoCon in server Diptych/cryocon",
        "+ cryo/cryocon/1 link = tcp://a:5000",
        "+ cryo/cryocon/1 init = input A:units C | loop 1:type pid",
        "+ cryo/cryocon/1/temperature_a max_alarm = 310",
        "+ alias fridge of cryo/cryocon/1",
        "+ class CryoCon site = ESO",
    ]
    stored = database.get_device_property("cryo/cryocon/1", ["init"])
    assert list(stored["init"]) == ["input A:units C", "loop 1:type pid"]
    assert list(database.get_device_class_list("Diptych/cryocon"))[:2] == ["cryo/cryocon/1", "CryoCon"]


def test_changed_moved_and_deleted_things_are_told_apart(tmp_path: Path, database: tango.Database) -> None:
    bring_up(
        facility(
            tmp_path,
            {
                "cryocon": cryocon(properties={"link": ["tcp://a:5000"], "model": ["22C"], "unused": ["1"]}),
                "old": {"CryoCon": {"cryo/cryocon/2": {}, "cryo/cryocon/3": {}}},
            },
        ),
        database,
    )
    wanted = facility(
        tmp_path,
        {
            "cryocon": cryocon(properties={"LINK": ["tcp://b:5000"], "model": ["22C"], "unused": []}),
            "old": {"Heater": {"cryo/cryocon/2": {}}},
        },
    )
    assert bring_up(wanted, database) == [
        "~ cryo/cryocon/1 LINK: tcp://a:5000 -> tcp://b:5000",
        "- cryo/cryocon/1 unused (was 1)",
        "~ device cryo/cryocon/2: class CryoCon -> Heater",
        "- device cryo/cryocon/3: class CryoCon in server Diptych/old",
    ]
    moved = facility(tmp_path, {"cryocon": {**cryocon(), "Heater": {"cryo/cryocon/2": {}}}})
    assert bring_up(moved, database, whole=True) == [
        "~ device cryo/cryocon/2: server Diptych/old -> Diptych/cryocon, class Heater",
        "- server Diptych/old",
    ]


def test_what_tango_and_clients_keep_stays(tmp_path: Path, database: tango.Database) -> None:
    wanted = facility(
        tmp_path,
        {"cryocon": cryocon(properties={"model": ["22C"]}, attribute_properties={"temperature_a": {"unit": ["K"]}})},
    )
    bring_up(wanted, database)
    database.put_device_property("cryo/cryocon/1", {"polled_attr": ["state", "1000"]})
    database.put_device_attribute_property("cryo/cryocon/1", {"setpoint_1": {"__value": ["77.5"]}})
    database.put_device_attribute_property("cryo/cryocon/1", {"temperature_a": {"max_alarm": ["305"]}})
    assert bring_up(wanted, database) == []


def test_a_text_comes_back_as_it_was(tmp_path: Path, database: tango.Database) -> None:
    texts = {
        "rule": ['{"say": "too \\"warm\\"\\n"}'],
        "folder": ["C:\\new\\", "", "  x"],
        "unit": ["Ω", "µm", "größe"],
        "title": ["it's 100 %_"],
    }
    wanted = facility(
        tmp_path,
        {"a_1": cryocon(properties=texts, attribute_properties={"temperature_a": texts}, alias="Fridge")},
        {"CryoCon": {"properties": {"site": texts["rule"]}}},
    )
    bring_up(wanted, database)
    assert list(database.get_device_property("cryo/cryocon/1", "folder")["folder"]) == texts["folder"]


def test_the_properties_of_a_device_without_any_in_the_file_stay(tmp_path: Path, database: tango.Database) -> None:
    wanted = facility(tmp_path, {"foreign": cryocon()})
    bring_up(wanted, database)
    database.put_device_property("cryo/cryocon/1", {"address": ["4"]})
    assert bring_up(wanted, database) == []


def test_a_dry_run_shows_the_difference_and_changes_nothing(
    tmp_path: Path, database: tango.Database, tango_host: str
) -> None:
    file = facility(tmp_path, {"cryocon": cryocon(properties={"model": ["24C"]})}).path
    words = ["register", file, "--tango-host", tango_host, "--state-dir", tmp_path / "state"]
    dry = command(*words, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "+ cryo/cryocon/1 model = 24C" in dry.stdout and "none made" in dry.stdout
    assert list(database.get_server_list("Diptych/*")) == []
    real, again = command(*words), command(*words)
    assert "2 changes made" in real.stdout
    assert "nothing to do" in again.stdout


def test_no_database_is_one_clear_line(tmp_path: Path) -> None:
    file = facility(tmp_path, {"cryocon": cryocon()}).path
    answer = command("register", file, "--tango-host", f"127.0.0.1:{free_port()}", "--state-dir", tmp_path)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: no Tango database answers at 127.0.0.1:")
    assert len(answer.stderr.splitlines()) == 1
