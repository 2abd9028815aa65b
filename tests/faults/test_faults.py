"""The parts of the campaign against faults: what they would find, and what they would not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults import report, watcher
from tests.faults.cable import Cable
from tests.faults.campaign import Outcome
from tests.faults.clock import Clock
from tests.faults.fault import fill
from tests.faults.ledger import Ledger, lost_in_audit, lost_in_meter
from tests.faults.memory import slope
from tests.faults.proxy import Proxy
from tests.support.serving import ROOT


def ledger(folder: Path) -> Ledger:
    """Three settings of a level, in V, of which the second was refused."""
    made = Ledger(folder / "acknowledged.jsonl")
    for number, (volts, is_acknowledged) in enumerate(((1.001, True), (1.002, False), (1.003, True))):
        made.take(
            {"kind": "setting", "name": "GAUGE1:Level", "value": volts, "ack": is_acknowledged, "begun": 10.0 + number,
             "ended": 10.5 + number}
        )  # fmt: skip
    return made


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that answers with what it is sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    words = [sys.executable, "-c", "import sys; [print(line, end='', flush=True) for line in sys.stdin]"]
    children = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            children.append(subprocess.Popen(words, stdin=client, stdout=client))
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for child in children:
        child.kill()
        child.wait()


def answer(link: socket.socket, seconds: float) -> bytes:
    link.settimeout(seconds)
    link.sendall(b"T?\n")
    return link.recv(100)


def test_a_half_open_connection_says_nothing_and_stays_dead_and_a_new_one_works(echo: int) -> None:
    proxy = Proxy(echo)
    with socket.create_connection(("127.0.0.1", proxy.port)) as old:
        assert answer(old, 20.0) == b"T?\n"
        proxy.cut()
        with pytest.raises(TimeoutError):
            answer(old, 0.3)
        with socket.create_connection(("127.0.0.1", proxy.port)) as unheard, pytest.raises(TimeoutError):
            answer(unheard, 0.3)
        proxy.mend()
        with pytest.raises(TimeoutError):
            answer(old, 0.3)
        with socket.create_connection(("127.0.0.1", proxy.port)) as new:
            assert answer(new, 20.0) == b"T?\n"
    proxy.close()


def test_a_cable_that_loses_a_tenth_loses_a_tenth_and_one_that_is_pulled_all(tmp_path: Path) -> None:
    cable = Cable()
    try:
        cable.lay(seed=7)
    except (OSError, subprocess.CalledProcessError) as error:
        cable.remove()
        pytest.skip(f"networks cannot be made here: {getattr(error, 'stderr', '') or error}")
    words = [*cable.inside, sys.executable, "-m", "tests.faults.meter", cable.there, "0", str(tmp_path / "journal")]
    meter = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert meter.stdout is not None
        port = int(meter.stdout.readline())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            cable.lose(0.1)
            with socket.create_connection((cable.there, port), 20.0) as link:
                link.settimeout(20.0)
                link.sendall(b"READ?\n")
                read_at = float(link.recv(100))
                assert read_at <= time.monotonic()  # one clock on both hosts
            for _ in range(2000):
                sender.sendto(b"x", (cable.there, 9))
            cable.lose(1.0)
            with pytest.raises(OSError):
                socket.create_connection((cable.there, port), 0.5)
    finally:
        meter.kill()
        meter.wait()
        carried, lost = cable.remove()
    assert carried > 1700
    assert 100 < lost < 0.2 * carried


def test_a_setting_that_the_meter_never_took_is_lost_and_one_that_was_refused_is_not(tmp_path: Path) -> None:
    made = ledger(tmp_path)
    journal = tmp_path / "journal"
    journal.write_text("1.001\n1.003\n")
    assert lost_in_meter(made, "GAUGE1:Level", journal) == []
    journal.write_text("1.001\n")
    assert lost_in_meter(made, "GAUGE1:Level", journal) == ["GAUGE1:Level = 1.003"]


def test_a_line_of_the_audit_that_a_full_disk_cut_is_missed(tmp_path: Path) -> None:
    made = ledger(tmp_path)
    lines = ['{"pv": "GAUGE1:Level", "new": 1.001}', '{"pv": "GAUGE1:Level", "new": [1.003]}']
    (tmp_path / "audit.jsonl").write_text("\n".join(lines))
    assert lost_in_audit(made, tmp_path) == []
    (tmp_path / "audit.jsonl").write_text("\n".join(lines)[:-9])
    assert [each["value"] for each in lost_in_audit(made, tmp_path)] == [1.003]


def test_a_clock_that_stands_still_and_is_shown_as_good_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    watched = watcher.Watched(["GAUGE1:Reading"])
    watched.take("GAUGE1:Reading", 0, time.monotonic() - 7.0)
    watched.look()
    assert '"old": "GAUGE1:Reading", "age": 7.' in capsys.readouterr().out
    watched.take("GAUGE1:Reading", 3, None)
    watched.look()
    watched.take("GAUGE1:Reading", None, None)
    watched.look()
    assert '"old"' not in capsys.readouterr().out
    watched.take("GAUGE1:Reading", 0, time.monotonic())
    watched.look()
    out = capsys.readouterr().out
    assert '"gap": "GAUGE1:Reading"' in out and '"old"' not in out


def test_memory_that_grows_by_6_mb_an_hour_and_a_life_that_is_too_short_to_tell() -> None:
    hours = np.arange(0.0, 0.5, 0.005)
    life = [(3600.0 * hour, 80.0 + (0.0 if hour < 0.01 else 6.0 * hour)) for hour in hours]
    assert slope(life) == pytest.approx(6.0)
    assert slope(life[:16]) is None


def test_the_date_of_a_process_jumps_by_an_hour_and_its_waits_stay_as_long_as_they_are(tmp_path: Path) -> None:
    try:
        clock = Clock(tmp_path)
    except OSError as error:
        pytest.skip(str(error))
    work = "[(Event().wait(0.05), print(time(), flush=True)) for _ in sys.stdin]"
    said = f"import sys; from threading import Event; from time import time; {work}"
    process = subprocess.Popen(
        [sys.executable, "-c", said], env={**os.environ, **clock.environment}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    for hours in (0, 1, -1, 0):
        clock.move(3600 * hours)
        process.stdin.write("now\n")
        process.stdin.flush()
        off = float(process.stdout.readline()) - time.time()
        assert round(off / 3600, 1) == hours
    process.stdin.close()
    assert process.wait(20.0) == 0


def test_a_disk_is_filled_to_the_last_byte(tmp_path: Path) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3M", "diptych-test", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no disk can be made here: {done.stderr.strip()}")
    try:
        fill(tmp_path / "ballast")
        with pytest.raises(OSError, match="No space left"), (tmp_path / "one").open("wb") as file:
            file.write(b"1")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_the_report_tells_the_median_the_worst_and_what_never_came_back() -> None:
    def outcome(name: str, recovery_s: float | None, **more: object) -> Outcome:
        return Outcome("process killed", name, "12:00:00", 0.0, 0.0, 40, recovery_s, 0.0, **more)  # type: ignore[arg-type]

    outcomes = [
        outcome("web", 1.0),
        outcome("mirror", 7.5),
        outcome("gauge", 3.0, lost=["GAUGE1:Level = 1.003"]),
        outcome("ccd", None, still_bad=["ca: CCD1:State"]),
    ]
    row = report.fault_table(outcomes).splitlines()[-1]
    assert row == "| process killed | 4 | 40 | 3.0 s | 7.5 s (mirror), 1 not at all | 0.0 s | 0 | 1 |"
    assert [each.is_well for each in outcomes] == [True, True, False, False]
    assert report.troubles(outcomes) == [
        "- 12:00:00 process killed, gauge: GAUGE1:Level = 1.003",
        "- 12:00:00 process killed, ccd: ca: CCD1:State",
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_is_killed_and_an_instrument_vanishes_and_nothing_is_lost(tmp_path: Path) -> None:
    words = ["--servers", "mirror", "--folder", str(tmp_path / "soak"), "--seed", "5"]
    for only in ("process killed/gauge", "half-open*"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults", *words, "--only", only],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=280.0,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Nothing was lost, nothing wrong was shown as good, everything recovered." in done.stdout
