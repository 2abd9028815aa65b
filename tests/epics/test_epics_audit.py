from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from servers.epics.access import Client
from servers.epics.audit import Audit

CLIENT = Client("ca", "127.0.0.1", 40001, "console", "anna")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_write_is_one_line_of_json(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "log" / "audit.jsonl")
    audit.write(CLIENT, "CRYO1:Setpoint1", 80.0, 77.5, "done")
    audit.write(CLIENT, "CRYO1:Setpoint1", 77.5, float("nan"), "RangeError: setpoint = nan\nK")
    first, second = _lines(tmp_path / "log" / "audit.jsonl")
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "protocol": "ca", "peer": "127.0.0.1:40001", "claimed_host": "console", "claimed_user": "anna",
        "pv": "CRYO1:Setpoint1", "old": 80.0, "new": 77.5, "result": "done",
    }  # fmt: skip
    assert second["new"] == "nan"
    assert second["result"] == "RangeError: setpoint = nan\nK"


def test_large_values_are_cut(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.write(CLIENT, "CCD1:Mask", np.arange(5000), "x" * 100_000, "done")
    (line,) = _lines(tmp_path / "audit.jsonl")
    assert line["old"][:3] == [0, 1, 2]
    assert line["old"][-1] == "... 5000 elements"
    assert len(line["new"]) < 1100


def test_text_of_any_kind_is_kept(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.write(Client("ca", "127.0.0.1", 1, "häst", "\ud800"), "A", "Ω", "\x00\x1b", "done")
    (line,) = [json.loads(text) for text in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (line["claimed_host"], line["old"], line["new"]) == ("häst", "Ω", "\x00\x1b")


def test_a_full_file_is_rotated_and_old_ones_go(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(path, max_bytes=1000, keep=2)
    for number in range(40):
        audit.write(CLIENT, "A", number, number + 1, "done")
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    kept = [line["old"] for name in (2, 1) for line in _lines(path.with_name(f"audit.jsonl.{name}"))]
    assert kept + [line["old"] for line in _lines(path)] == list(range(40 - len(kept) - len(_lines(path)), 40))
    assert audit.lines == 40


def test_a_restart_goes_on_with_the_file(tmp_path: Path) -> None:
    for number in range(2):
        audit = Audit(tmp_path / "audit.jsonl")
        audit.write(CLIENT, "A", number, number, "done")
        audit.close()
    assert [line["old"] for line in _lines(tmp_path / "audit.jsonl")] == [0, 1]


def test_a_disk_that_refuses_stops_no_write_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("a file where a folder should be")
    audit = Audit(tmp_path / "log" / "audit.jsonl")
    for _ in range(3):
        audit.write(CLIENT, "A", 1, 2, "done")
    assert audit.lost == 3
    assert len(caplog.records) == 1
