"""Logs as files: the newest entries of all servers, questions, and following what grows, rotates and is cut off."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devices.core.errors import BadValueError, RangeError
from servers.epics.access import Client
from servers.epics.audit import Audit
from servers.facility import log_file
from servers.facility.log_file import LogFile
from servers.log.entry import Entry, Level
from servers.log.follower import Follower
from servers.log.newest import newest
from servers.log.question import Question, question_of

NOON_S = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
ALL = Question()


def line(second: float, text: str, level: str = "INFO", source: str = "diptych.a") -> str:
    moment = datetime.fromtimestamp(NOON_S + second, UTC).isoformat(timespec="milliseconds")
    return f"{moment} {level} {source}: {text}\n"


def texts(entries: list[Entry]) -> list[str]:
    return [entry.text for entry in entries]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three servers that take turns; an audit of two writes; all is an hour old."""
    for turn, name in enumerate(("cryocon", "mirror", "sim.cryocon1")):
        lines = (line(3 * n + turn, f"{name} {n}", "ERROR" if n == 7 else "INFO") for n in range(1000))
        (tmp_path / f"{name}.log").write_text("".join(lines))
    for second, user, result in ((10.5, "anna", "done"), (20.5, "bert", "RangeError: 900 K is outside [0, 325] K")):
        entry = {"time": datetime.fromtimestamp(NOON_S + second, UTC).isoformat(), "peer": "127.0.0.1:4", "pv": "C:S"}
        with (tmp_path / "audit.jsonl").open("a") as file:
            file.write(json.dumps(entry | {"claimed_user": user, "old": 1, "new": 900, "result": result}) + "\n")
    for path in tmp_path.iterdir():
        os.utime(path, (NOON_S, NOON_S + 3000))
    return tmp_path


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    (tmp_path / "old.log").write_text(line(0, "before"))
    following = Follower(tmp_path)
    yield following
    following.close()


def heard(follower: Follower, count: int) -> list[Entry]:
    """What comes until there is so much of it."""
    found: list[Entry] = []
    deadline = time.monotonic() + 10.0
    while len(found) < count:
        assert time.monotonic() < deadline, texts(found)
        found += follower.take()
        time.sleep(0.02)
    return found


def test_the_newest_entries_of_all_servers_in_the_order_of_time(folder: Path) -> None:
    answer = newest(folder, ALL, 5)
    assert texts(answer.entries) == ["sim.cryocon1 999", "mirror 999", "cryocon 999", "sim.cryocon1 998", "mirror 998"]
    everything = newest(folder, ALL, 5000)
    assert len(everything.entries) == 3002
    assert [e.time_s for e in everything.entries] == sorted((e.time_s for e in everything.entries), reverse=True)
    assert len({entry.id for entry in everything.entries}) == 3002


@pytest.mark.parametrize(
    ("asked", "count", "first"),
    [
        ({"level": "error"}, 3, "sim.cryocon1 7"),
        ({"level": "warning", "server": "audit"}, 1, None),
        ({"server": "sim.*", "count": "5000"}, 1000, "sim.cryocon1 999"),
        ({"text": "MIRROR 99", "count": "50"}, 11, "mirror 999"),
        ({"writes": "1"}, 2, None),
        ({"who": "ANNA"}, 1, None),
        ({"pv": "c:*"}, 2, None),
        ({"pv": "c:t"}, 0, None),
        ({"who": "127.0.0.1", "level": "WARNING"}, 1, None),
        ({"since": str(NOON_S + 2990), "count": "900"}, 10, "sim.cryocon1 999"),
        ({"since": "1970-01-01", "until": str(NOON_S + 2)}, 3, "sim.cryocon1 0"),
    ],
)
def test_questions(folder: Path, asked: dict[str, str], count: int, first: str | None) -> None:
    question, wanted = question_of(asked)
    found = newest(folder, question, wanted).entries
    assert len(found) == count
    assert first is None or found[0].text == first


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        ({"level": "loud"}, BadValueError, "level = 'loud' is none of DEBUG"),
        ({"count": "0"}, RangeError, r"count = 0 is outside \[1, 5000\]"),
        ({"count": "-4"}, BadValueError, "count = '-4' is not a whole number"),
        ({"since": "lunch"}, BadValueError, "'lunch' is not a moment"),
        ({"sever": "x"}, BadValueError, "'sever' is none of level, server"),
    ],
)
def test_what_is_no_question(asked: dict[str, str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        question_of(asked)


def test_since_is_a_length_of_time_or_a_moment() -> None:
    now = time.time()
    assert question_of({"since": "1h"})[0].since_s == pytest.approx(now - 3600.0, abs=5.0)
    assert question_of({"since": "30 min ago"})[0].since_s == pytest.approx(now - 1800.0, abs=5.0)
    assert question_of({"since": "2026-11-21T12:00Z"})[0].since_s == NOON_S


def test_a_question_reads_no_more_than_it_may(folder: Path) -> None:
    answer = newest(folder, Question(text="there is no such text"), 5, limit_bytes=70_000)
    assert (answer.entries, answer.is_complete) == ([], False)
    assert newest(folder, Question(text="there is no such text"), 5).is_complete


@pytest.mark.parametrize("text", ["cryocon 99", "mirror", "7.25", "anna", "ANNA", "c:s", "was", "900", "more", "3"])
def test_blocks_that_are_left_out_have_nothing_of_what_is_wanted(folder: Path, text: str) -> None:
    quick = newest(folder, Question(text=text), 5000).entries
    everything = newest(folder, ALL, 5000).entries
    assert quick == [entry for entry in everything if Question(text=text).matches(entry)]


def test_what_was_set_aside_is_read_too_and_keeps_its_ids(folder: Path) -> None:
    before = newest(folder, Question(server="cryocon"), 5000).entries
    (folder / "cryocon.log").rename(folder / "cryocon.log.1")
    (folder / "cryocon.log").write_text(line(3000, "anew"))
    after = newest(folder, Question(server="cryocon"), 5000).entries
    assert texts(after)[:2] == ["anew", "cryocon 999"]
    assert after[1:] == before


def test_a_traceback_across_two_blocks_is_one_entry(tmp_path: Path) -> None:
    trace = line(1, "broken", "ERROR") + "".join(f"  frame {n} of a deep stack\n" for n in range(150))
    (tmp_path / "a.log").write_text(line(0, "x" * 64_500) + trace + line(2, "y" * 1000))
    last, broken, first = newest(tmp_path, ALL, 10).entries
    assert (len(last.text), len(broken.text.splitlines())) == (1000, 151)
    assert 16_000 < len(first.text) < 16_384, "long lines are cut"


def test_a_line_that_is_being_written_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(line(0, "whole") + line(1, "half")[:40])
    assert texts(newest(tmp_path, ALL, 5).entries) == ["whole"]
    os.utime(path, (NOON_S, NOON_S))
    assert len(newest(tmp_path, ALL, 5).entries) == 2, "its process died while it wrote"


def test_garbage_files_are_read_without_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(bytes(range(256)) * 9000)
    (tmp_path / "audit.jsonl").write_bytes(b"\xff\x00{}\n" * 5000)
    (tmp_path / "empty.log").touch()
    (tmp_path / "folder.log").mkdir()
    assert newest(tmp_path, ALL, 100).is_complete
    assert newest(tmp_path / "nowhere", ALL, 100).entries == []


def test_what_is_added_is_heard_and_what_was_there_is_not(tmp_path: Path, follower: Follower) -> None:
    with (tmp_path / "old.log").open("a") as file:
        file.write(line(1, "in pieces")[:50])
        file.flush()
        assert follower.take() == []
        file.write(line(1, "in pieces")[50:] + line(2, "more"))
    (tmp_path / "new.log").write_text(line(3, "a process began"))
    assert texts(heard(follower, 3)) == ["in pieces", "more", "a process began"]
    assert follower.take() == []


def test_a_traceback_that_comes_line_by_line_is_one_entry(tmp_path: Path, follower: Follower) -> None:
    with (tmp_path / "old.log").open("a") as file:
        file.write(line(1, "broken", "ERROR"))
        for n in range(20):
            file.write(f"  frame {n}\n")
            file.flush()
            assert follower.take() == []
    (entry,) = heard(follower, 1)
    assert len(entry.text.splitlines()) == 21


def test_lines_are_of_the_entry_above_even_when_that_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(line(0, "broken:", "ERROR", "diptych.pump"))
    follower = Follower(tmp_path)
    with path.open("a") as file:
        file.write("  because of oil\n")
    (entry,) = heard(follower, 1)
    follower.close()
    assert (entry.level, entry.source, entry.text) == (Level.ERROR, "pump", "because of oil")


def test_a_log_that_is_set_aside_loses_nothing(
    tmp_path: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "LIMIT_BYTES", 100)
    path = tmp_path / "old.log"
    with path.open("ab") as file:  # as a process has it open
        file.write(line(1, "just before " + "x" * 100).encode())
        file.flush()
        LogFile(path).limit()
        assert path.stat().st_size == 0
        file.write(line(2, "just after").encode())
    just_before, just_after = heard(follower, 2)
    assert just_before.text.startswith("just before") and just_after.text == "just after"
    path.write_text("")  # somebody empties it, and keeps nothing
    assert follower.take() == []
    path.write_text(line(3, "x"))
    assert texts(heard(follower, 1)) == ["x"]


def test_an_audit_that_rotates_while_it_is_followed_loses_nothing(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl", max_bytes=2000, keep=3)
    client = Client("ca", "10.1.2.3", 5555, "console7", "anna")
    audit.write(client, "C:S", 0, 0, "done")
    follower = Follower(tmp_path)
    found: list[Entry] = []
    for n in range(1, 40):
        audit.write(client, "C:S", n - 1, n, "done")
        found += follower.take()
    found += heard(follower, 39 - len(found)) if len(found) < 39 else []
    follower.close()
    audit.close()
    assert [entry.write.value for entry in found if entry.write] == [str(n) for n in range(1, 40)]
    assert len(list(tmp_path.iterdir())) == 4
    kept = newest(tmp_path, Question(who="console7"), 100).entries
    assert [e.write.value for e in kept if e.write][:3] == ["39", "38", "37"]


def test_who_is_far_behind_goes_on_near_the_end(tmp_path: Path, follower: Follower) -> None:
    with (tmp_path / "old.log").open("a") as file:
        for n in range(110_000):
            file.write(line(n / 1000, f"{'flood ' * 8}{n}"))
    found = heard(follower, 1)
    assert "came too fast" in found[0].text or "came too fast" in " ".join(texts(found))
    assert len(found) < 3


def test_a_file_that_goes_away_and_comes_back(tmp_path: Path, follower: Follower) -> None:
    path = tmp_path / "old.log"
    path.unlink()
    follower.take()
    path.write_text(line(5, "back"))
    assert texts(heard(follower, 1)) == ["back"]
