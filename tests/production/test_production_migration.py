"""A facility that moves to the database of a site, and its backups: nothing that anybody has set gets lost."""

from __future__ import annotations

import json
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tango

from servers.facility.embedded import embedded_database
from servers.facility.facility_file import read_facility
from servers.facility.tango_database import open_database
from tests.facility.running import command

pytestmark = [pytest.mark.production, pytest.mark.timeout(400)]

COLD = "cryo/cold/1"


@pytest.fixture
def target(tango_host: str) -> Iterator[str]:
    """A database without servers of ours, of each kind in turn."""
    yield tango_host
    database = open_database(tango_host)
    for server in database.get_server_list("Diptych/*"):
        database.delete_server(server)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A facility with one device, whose embedded database has what its clients have set."""
    folder = tmp_path / "lab"
    folder.mkdir()
    path = folder / "lab.json"
    (folder / "curve.340").write_text("1 : 9.5, 1.4\n")
    properties = {"room": ["B 12, ask ops@site"], "curve": ["@here/curve.340"]}
    device = {"properties": properties, "attribute_properties": {"temperature": {"label": ["Cold finger"]}}}
    path.write_text(json.dumps({"servers": {"Diptych": {"cold": {"StandIn": {COLD: device}}}}}))
    path.with_suffix(".facility.yaml").write_text("# the cold lab\nprograms:\n  cold: [sleep, '9']")
    with embedded_database(tmp_path / "var", create=True) as host:
        assert "changes made" in command("register", path, "--tango-host", host).stdout
        set_by_clients(open_database(host), "77.3", "81.5")
    return path


def set_by_clients(database: tango.Database, setpoint_k: str, bound_k: str) -> None:
    database.put_device_attribute_property(
        COLD, {"setpoint": {"__value": [setpoint_k]}, "temperature": {"max_alarm": [bound_k]}}
    )


def kept(host: str) -> dict[str, dict[str, list[str]]]:
    """Attribute properties of the device, as a database has them."""
    found = open_database(host).get_device_attribute_property(COLD, ["setpoint", "temperature"])
    return {name: {key: list(lines) for key, lines in group.items()} for name, group in found.items()}


WANTED = {"setpoint": {"__value": ["77.3"]}, "temperature": {"max_alarm": ["81.5"], "label": ["Cold finger"]}}


def test_one_command_moves_a_facility(lab: Path, target: str, tmp_path: Path) -> None:
    words = ["migrate", lab, "--state-dir", tmp_path / "var", "--tango-host", target]
    rehearsed = command(*words, "--dry-run")
    assert "none made (dry run)" in rehearsed.stdout, rehearsed.stderr
    assert not list(open_database(target).get_server_list("Diptych/*"))
    moved = command(*words)
    assert moved.returncode == 0 and "changes made in" in moved.stdout, moved.stderr
    assert kept(target) == WANTED
    assert open_database(target).get_device_property(COLD, "room")["room"][0] == "B 12, ask ops@site"
    assert lab.with_suffix(".facility.yaml").read_text().startswith("# the cold lab\n")
    assert read_facility(lab, state_dir=tmp_path / "var").tango_host == target
    again = command(*words)  # as after a network that failed in the middle
    assert "0 changes made" in again.stdout, again.stderr
    with embedded_database(tmp_path / "var") as old:
        assert kept(old) == WANTED, "nothing is taken out of the old one"


def test_a_facility_that_runs_is_not_moved(lab: Path, target: str, tmp_path: Path) -> None:
    with embedded_database(tmp_path / "var"):  # holds the state directory as a facility does
        refused = command("migrate", lab, "--state-dir", tmp_path / "var", "--tango-host", target)
    assert refused.returncode == 1 and "is in use by the facility of pid" in refused.stderr
    assert not list(open_database(target).get_server_list("Diptych/*"))


def test_a_folder_without_a_database_is_told(lab: Path, target: str, tmp_path: Path) -> None:
    refused = command("migrate", lab, "--state-dir", tmp_path / "elsewhere", "--tango-host", target)
    assert refused.returncode == 1 and "elsewhere has no embedded database (tango.db)" in refused.stderr


def test_a_backup_brings_back_files_and_what_clients_had_set(lab: Path, target: str, tmp_path: Path) -> None:
    words = ["--tango-host", target, "--state-dir", tmp_path / "var"]
    assert command("register", lab, *words).returncode == 0
    set_by_clients(open_database(target), "77.3", "81.5")
    backup = tmp_path / "lab-backup.tar.gz"
    done = command("backup", lab, backup, *words)
    assert "3 files and 1 devices of lab.json" in done.stdout, done.stderr
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600

    set_by_clients(open_database(target), "4.2", "5.0")
    open_database(target).put_device_attribute_property(COLD, {"temperature": {"min_alarm": ["3.9"]}})
    lab.write_text(lab.read_text().replace("B 12", "B 13"))
    refused = command("restore", backup, lab.parent, *words)
    assert refused.returncode == 1 and "lab.json: differ from the backup; --overwrite" in refused.stderr
    assert kept(target)["setpoint"] == {"__value": ["4.2"]}, "a refusal has changed nothing"

    back = command("restore", backup, lab.parent, "--overwrite", *words)
    assert back.returncode == 0, back.stderr
    assert kept(target) == WANTED
    assert "B 12" in lab.read_text()
    assert open_database(target).get_device_property(COLD, "room")["room"][0] == "B 12, ask ops@site"


def test_a_backup_of_the_embedded_database_is_restored_on_a_bare_machine(lab: Path, tmp_path: Path) -> None:
    backup, bare = tmp_path / "lab.tar.gz", tmp_path / "bare"
    assert command("backup", lab, backup, "--state-dir", tmp_path / "var").returncode == 0
    done = command("restore", backup, bare / "lab", "--state-dir", bare / "var")
    assert done.returncode == 0, done.stderr
    assert (bare / "lab" / "curve.340").read_text() == "1 : 9.5, 1.4\n"
    with embedded_database(bare / "var") as host:
        assert kept(host) == WANTED
        curve = open_database(host).get_device_property(COLD, "curve")["curve"][0]
        assert curve == str(bare / "lab" / "curve.340")


@pytest.mark.parametrize("name", ["configuration/../../escaped", "configuration/link"])
def test_what_would_leave_its_folder_is_refused(name: str, lab: Path, tmp_path: Path) -> None:
    backup, forged = tmp_path / "lab.tar.gz", tmp_path / "forged.tar.gz"
    assert command("backup", lab, backup, "--state-dir", tmp_path / "var").returncode == 0
    with tarfile.open(backup) as old, tarfile.open(forged, "w:gz") as new:
        for member in old:
            new.addfile(member, old.extractfile(member))
        evil = tarfile.TarInfo(name)
        if name.endswith("link"):
            evil.type, evil.linkname = tarfile.SYMTYPE, "/etc/passwd"
        new.addfile(evil)
    refused = command("restore", forged, tmp_path / "there", "--state-dir", tmp_path / "there")
    assert refused.returncode == 1 and "is not what a backup has" in refused.stderr
    assert not (tmp_path / "escaped").exists() and not (tmp_path / "there").exists()


def test_a_file_that_is_no_backup_is_told(tmp_path: Path) -> None:
    (tmp_path / "holiday.tar.gz").write_bytes(b"\x1f\x8b\x08 no archive")
    refused = command("restore", tmp_path / "holiday.tar.gz", tmp_path / "there")
    assert refused.returncode == 1 and "is not a backup of a facility" in refused.stderr
