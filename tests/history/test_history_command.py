"""``diptych history`` and the key ``history`` of a facility file."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from devices.core.errors import ConfigurationError
from servers.facility.facility_file import read_facility
from servers.facility.history_settings import PASSWORD_VARIABLE
from servers.history.place import embedded_file, state_file
from servers.history.sqlite_store import SqliteStore
from servers.history.state import State
from servers.history.store import NANOSECONDS, Facts, Sample, new_batch
from servers.main import main

NOON_S = 1_795_262_400  # 2026-11-21T12:00Z


def site(folder: Path, history: str) -> Path:
    device = {"mirror/epics/1": {"properties": {"pv_prefix": ["MIRROR1:"]}}}
    file = folder / "site.json"
    file.write_text(json.dumps({"servers": {"Diptych": {"mirror": {"EpicsMirror": device}}}}))
    (folder / "site.facility.yaml").write_text(
        f"classes: {{EpicsMirror: servers.epics.device:EpicsMirror}}\nmirrors: [mirror]\n{history}\n"
    )
    return file


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A facility with 100 s of a temperature and a state."""
    file = site(tmp_path, "history: true")
    path = embedded_file(read_facility(file, state_dir=tmp_path / "var"))
    with closing(SqliteStore(path)) as store:
        store.describe({"T:Kelvin": Facts("float64", "K"), "T:State": Facts("enum", "", ("OFF", "ON"))}, {})
        rows = [Sample("T:Kelvin", (NOON_S + n) * NANOSECONDS, 70.0 + n / 8) for n in range(100)]
        lost = Sample("T:State", (NOON_S + 50) * NANOSECONDS, 1.0, 3, False)
        store.write(new_batch([*rows, Sample("T:State", NOON_S * NANOSECONDS, 1.0), lost], NOON_S + 100))
    return file


def ask(file: Path, *words: str) -> Result:
    place = ["--facility", str(file), "--state-dir", str(file.parent / "var")]
    return CliRunner().invoke(main, ["history", *words, *place])


def test_every_sample_is_a_row_with_time_in_utc_and_label(recorded: Path) -> None:
    asked = ask(recorded, "T:Kelvin", "T:State", "--from", "2026-11-21T12:00:10Z", "--to", str(NOON_S + 60))
    rows = list(csv.DictReader(io.StringIO(asked.output)))
    kelvin = [row for row in rows if row["pv"] == "T:Kelvin"]
    assert [float(row["value"]) for row in kelvin] == [70.0 + n / 8 for n in range(9, 61)]
    assert kelvin[1]["time"] == "2026-11-21T12:00:10.000000Z"
    state = [(row["value"], row["text"], row["severity"], row["connected"]) for row in rows if row["pv"] == "T:State"]
    assert state == [("1.0", "ON", "NO_ALARM", "yes"), ("", "", "INVALID", "no")]


def test_few_points_have_the_extremes(recorded: Path) -> None:
    words = ("T:Kelvin", "--from", str(NOON_S), "--to", str(NOON_S + 99), "--points", "5")
    rows = list(csv.DictReader(io.StringIO(ask(recorded, *words).output)))
    assert len(rows) <= 7
    assert (min(float(row["low"]) for row in rows), max(float(row["high"]) for row in rows)) == (70.0, 70.0 + 99 / 8)
    assert sum(int(row["samples"]) for row in rows) == 100


def test_a_parquet_file_has_the_same_with_types(recorded: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = recorded.with_name("night.parquet")
    words = ("T:Kelvin", "T:State", "--from", str(NOON_S), "--to", str(NOON_S + 99), "--parquet")
    assert ask(recorded, *words).exit_code == 1
    assert "102 points of 2 PVs" in ask(recorded, *words, "--output", str(file)).output
    table = parquet.read_table(file)
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert table.column("value").to_pylist()[:3] == [70.0, 70.125, 70.25]
    assert table.column("connected").to_pylist().count(False) == 1


def test_without_a_pv_it_says_how_the_recording_goes_and_what_is_recorded(recorded: Path) -> None:
    facility = read_facility(recorded, state_dir=recorded.parent / "var")
    assert ask(recorded).output.splitlines() == [
        "# not recording: no recorder ever ran here", "T:Kelvin", "T:State"
    ]  # fmt: skip
    State(False, "database or disk is full", 4e9 - 5, 4e9, waiting=12).write(state_file(facility))
    assert "pauses" in ask(recorded).output
    assert "database or disk is full, 12 samples wait" in ask(recorded).output


def test_wrong_questions_end_with_one_line(recorded: Path) -> None:
    for words, text in {
        ("T:Kelvn",): "did you mean T:Kelvin",
        ("T:Kelvin", "--from", "noon"): "'noon' is not a moment",
        ("T:Kelvin", "--from", "now", "--to", "1 h ago"): "is before from_s",
        ("T:Kelvin", "--parquet"): "--output",
    }.items():
        asked = ask(recorded, *words)
        assert asked.exit_code == 1
        assert text in asked.output
        assert len(asked.output.splitlines()) == 1


def test_a_facility_without_a_history_says_how_to_have_one(tmp_path: Path) -> None:
    asked = ask(site(tmp_path, ""), "T:Kelvin")
    assert asked.exit_code == 1
    assert "history: true" in asked.output


def test_the_key_history_is_checked_and_a_password_in_it_is_refused_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "archive.yaml").write_text("rules: []")
    (tmp_path / "secret").write_text("h/inge\n")
    text = (
        "history: {database: 'postgresql://me@host:5432/hdb', password_file: secret, archive: archive.yaml, keep: 7 d}"
    )
    settings = read_facility(site(tmp_path, text), state_dir=tmp_path).history
    assert settings is not None
    assert (settings.keep_s, settings.archive) == (604800.0, tmp_path / "archive.yaml")
    assert settings.database_with_password() == "postgresql://me:h%2Finge@host:5432/hdb"
    assert "inge" not in repr(settings)
    monkeypatch.setenv(PASSWORD_VARIABLE, "other")
    plain = read_facility(site(tmp_path, "history: {database: postgresql://me@host/hdb}"), state_dir=tmp_path).history
    assert plain is not None
    assert plain.database_with_password() == "postgresql://me:other@host/hdb"
    for wrong, problem in {
        "history: {database: 'postgresql://me:swordfish@host/hdb'}": "password_file",
        "history: {database: 'mysql://me:swordfish@host/hdb'}": "not of the form",
        "history: {kep: 24 h}": "unknown key kep; did you mean keep",
        "history: {keep: 24 hours}": "'24 hours' is not a time",
        "history: {archive: nothing.yaml}": "there is no file",
        "history: 5": "must be true or false or a group of keys",
    }.items():
        with pytest.raises(ConfigurationError) as raised:
            read_facility(site(tmp_path, wrong), state_dir=tmp_path)
        assert problem in str(raised.value)
        assert "swordfish" not in str(raised.value)
