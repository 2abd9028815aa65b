"""From bytes to entries: whatever wrote them, however they were cut."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.log.entry import Entry, Level
from servers.log.formatter import LineFormatter
from servers.log.parser import LINE_BYTES, TEXT_LINES, Parser

OURS = """\
Ready to accept request
2026-11-21T12:31:39.914+00:00 INFO diptych.host: Diptych/saxs serves saxs/detector/1
2026-11-21 12:31:54,822 WARNING diptych.loop: the loop has been blocked for 122 ms:
  File "loop_thread.py", line 56, in _run
    self.loop.run_forever()

2026-11-21T12:32:00.690974414 ERR pvxs.tcp.io connection closed: refused
2026-11-21T12:32:01.5+01:00 ERROR diptych.cryo/cryocon/1: link: NotConnectedError: 21.5 °C
Traceback (most recent call last):
  File "cryocon.py", line 7, in measure
ValueError: 12 K
2026-11-21T12:32:06+0000 WARNING facility: cryocon was ended by SIGKILL; starts again
"""
WRITE = {
    "time": "2026-11-21T12:30:52.116+00:00",
    "protocol": "ca",
    "peer": "10.1.2.3:55924",
    "claimed_host": "console7",
    "claimed_user": "anna",
    "pv": "CRYO1:Setpoint1",
    "old": 80.5,
    "new": 77.25,
    "result": "done",
}


def entries(data: bytes, **options: bool) -> list[Entry]:
    parser = Parser("cryocon", time_s=7.0, **options)
    return [*parser.feed(data), *parser.finish()]


def test_every_way_in_which_the_processes_of_a_facility_log() -> None:
    ready, serves, blocked, pvxs, link, ended = entries(OURS.encode())
    noon = datetime(2026, 11, 21, 12, 31, 39, 914000, UTC).timestamp()
    assert (ready.text, ready.time_s, ready.level) == ("Ready to accept request", noon, Level.INFO), "what nobody dated"
    assert serves.time_s == pytest.approx(noon)
    assert (serves.source, serves.text) == ("host", "Diptych/saxs serves saxs/detector/1")
    assert blocked.text.splitlines()[1:] == ['File "loop_thread.py", line 56, in _run', "  self.loop.run_forever()"]
    assert (pvxs.level, pvxs.source, pvxs.text) == (Level.ERROR, "pvxs.tcp.io", "connection closed: refused")
    assert link.time_s == datetime(2026, 11, 21, 11, 32, 1, 500000, UTC).timestamp(), "an hour east of Greenwich"
    assert (link.source, link.level) == ("cryo/cryocon/1", Level.ERROR)
    assert link.text.splitlines()[0] == "link: NotConnectedError: 21.5 °C"
    assert link.text.splitlines()[-1] == "ValueError: 12 K", "the traceback is of the error above"
    assert (ended.level, ended.source) == (Level.WARNING, "facility")


def test_a_time_without_a_zone_is_of_this_host() -> None:
    found = entries(b"2026-07-01 06:05:04,250 INFO diptych.host: x\n")
    assert found[0].time_s == datetime(2026, 7, 1, 6, 5, 4, 250000).timestamp()


@given(st.lists(st.integers(0, len(OURS.encode()))))
def test_any_cut_of_the_bytes_gives_the_same_entries(cuts: list[int]) -> None:
    data = OURS.encode()
    parser = Parser("cryocon", time_s=7.0)
    edges = [0, *sorted(cuts), len(data)]
    found = [entry for begin, end in pairwise(edges) for entry in parser.feed(data[begin:end])]
    assert [*found, *parser.finish()] == entries(data)


@given(st.binary(max_size=300), st.booleans(), st.integers(1, 50))
def test_garbage_is_an_entry_and_no_error(data: bytes, is_audit: bool, size: int) -> None:
    parser = Parser("x", is_audit=is_audit)
    found = [entry for at in range(0, len(data), size) for entry in parser.feed(data[at : at + size])]
    found += parser.finish()
    assert not any(ord(letter) < 32 and letter not in "\n\t" for entry in found for letter in entry.text)
    if is_audit:
        assert found == []
    elif data.strip():
        assert found


@given(st.text(max_size=60))
def test_what_a_process_logs_is_read_as_it_was(text: str) -> None:
    record = logging.LogRecord("diptych.cryo/cryocon/1", logging.WARNING, "", 0, "%s", (text,), None)
    written = (LineFormatter().format(record) + "\n").encode(errors="replace")
    found = entries(written)
    assert len(found) == 1, "no text begins an entry of its own"
    assert (found[0].source, found[0].level) == ("cryo/cryocon/1", Level.WARNING)
    assert found[0].time_s == pytest.approx(record.created, abs=0.001)
    if text.isprintable() and text.isascii():
        assert found[0].text == text.rstrip()


def test_a_client_cannot_forge_an_entry() -> None:
    forged = "bad\n2026-11-21T12:00:00+00:00 CRITICAL facility: all is lost"
    record = logging.LogRecord("diptych.cryo/cryocon/1", logging.INFO, "", 0, "%s", (forged,), None)
    found = entries(LineFormatter().format(record).encode() + b"\n")
    assert [entry.level for entry in found] == [Level.INFO]


def test_a_traceback_that_nobody_logged_is_an_error() -> None:
    said = b"2026-11-21T12:00:00+00:00 INFO diptych.host: serves\nTraceback (most recent call last):\nKeyError: 4\n"
    serves, error = entries(said)
    assert (serves.text, error.level) == ("serves", Level.ERROR)
    assert error.time_s == serves.time_s
    assert error.text.endswith("KeyError: 4")


def test_stacks_of_a_process_that_stood_still_are_critical() -> None:
    assert entries(b"Timeout (0:00:20)!\nThread 0x7f (most recent call first):\n")[0].level is Level.CRITICAL


def test_long_entries_and_long_lines_are_cut_and_say_so() -> None:
    lines = b"".join(b"  line %d\n" % n for n in range(3 * TEXT_LINES))
    (entry,) = entries(b"2026-11-21T12:00:00+00:00 ERROR a: many\n" + lines)
    assert entry.text.endswith(f"... {2 * TEXT_LINES + 1} lines more")
    parser = Parser("x")
    for _ in range(100):
        assert [*parser.feed(b"y" * LINE_BYTES)] == [], "a line without an end takes no more memory than one line"
    (long,) = parser.finish()
    assert len(long.text) == LINE_BYTES


def test_terminals_are_given_no_orders() -> None:
    (entry,) = entries(b"2026-11-21T12:00:00+00:00 INFO a: \x1b[2J\x07gone\r\n")
    assert entry.text == "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}gone"
    line = json.dumps(WRITE | {"new": "\x1b[2J\nx", "claimed_user": "ev\nil"})
    (write,) = entries(line.encode() + b"\n", is_audit=True)
    assert "\x1b" not in write.text and "\n" not in write.text


def test_a_write_says_who_from_where_what_and_how_it_ended() -> None:
    refused = WRITE | {"new": "hot", "result": "RangeError: hot is no number", "old": None}
    lines = "\n".join(json.dumps(each) for each in (WRITE, refused)) + "\nnot JSON\n{}\n[3]\n"
    done, not_done = entries(lines.encode(), is_audit=True)
    assert done.text == "CRYO1:Setpoint1 := 77.25 (was 80.5), anna at console7 from 10.1.2.3:55924: done"
    assert (done.level, not_done.level) == (Level.INFO, Level.WARNING)
    assert done.write is not None and (done.write.who, done.write.pv) == ("anna", "CRYO1:Setpoint1")
    assert done.time_s == datetime(2026, 11, 21, 12, 30, 52, 116000, UTC).timestamp()


def test_what_else_the_audit_has_is_shown_as_it_is() -> None:
    line = {"time": "2026-11-21T12:30:52+00:00", "event": "login", "person": "anna", "note": ""}
    (entry,) = entries(json.dumps(line).encode() + b"\n", is_audit=True)
    assert (entry.text, entry.write) == ("event: login, person: anna", None)


def test_lines_that_come_late_are_of_the_same_kind() -> None:
    parser = Parser("x")
    head = b"2026-11-21T12:00:00+00:00 ERROR diptych.a: broken:\n"
    assert [*parser.feed(head)] == []
    (first,) = parser.flush()
    (late,) = [*parser.feed(b"  because\n"), *parser.finish()]
    assert (late.text, late.level, late.source, late.time_s) == ("because", Level.ERROR, "a", first.time_s)
    assert late.id != first.id


def test_the_time_says_its_zone() -> None:
    code = (
        "import logging; from servers.log.formatter import log_to_stderr; log_to_stderr();"
        r"logging.getLogger('diptych.a').warning('b\nc')"
    )
    environment = {**os.environ, "TZ": "Asia/Kolkata"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, timeout=20.0)
    assert b"+05:30 WARNING diptych.a: b\n  c\n" in done.stderr
    assert entries(done.stderr)[0].text == "b\nc"
