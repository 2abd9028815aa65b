"""caproto: its command lines, and its synchronous, threading and asyncio clients, against a mirrored device."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest

from tests.clients.bench import Bench
from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import wait_for

pytest.importorskip("caproto", reason="caproto is not installed")

kept: dict[str, Any] = {}  # in the client's process
heard: list[Any] = []


def _run(bench: Bench, command: str, *words: str) -> str:
    """A command line, as somebody types it; what it prints."""
    done = subprocess.run(
        [f"caproto-{command}", *words],
        env=bench.environment, capture_output=True, text=True, timeout=30.0, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).strip()


# The synchronous client: one connection for each call.


def _read(name: str) -> Any:
    from caproto.sync.client import read

    return read(f"SPEC1:{name}", timeout=5.0).data.tolist()


def _write(name: str, value: Any) -> None:
    from caproto.sync.client import write

    write(f"SPEC1:{name}", value, notify=True, timeout=5.0)


# The threading client.


def _pv(name: str) -> Any:
    from caproto.threading.client import Context

    if "threading" not in kept:
        kept["threading"] = Context()
    (pv,) = kept["threading"].get_pvs(f"SPEC1:{name}")
    pv.wait_for_connection(timeout=10.0)
    return pv


def _read_in_thread(name: str, data_type: str, *facts: str) -> list[Any]:
    answer = _pv(name).read(data_type=data_type, timeout=5.0)
    return [list(answer.data), *(getattr(answer.metadata, fact) for fact in facts)]


def _write_in_thread(name: str, value: Any, timeout: float | None = 5.0) -> tuple[str, float]:
    """The status that the reply has, and the seconds until it came."""
    began = time.monotonic()
    answer = _pv(name).write(value, wait=True, timeout=timeout)
    return answer.status.name, time.monotonic() - began


def _rights(name: str) -> str:
    return str(_pv(name).access_rights.name)


def _monitor(name: str) -> None:
    heard.clear()

    def hear(subscription: Any, answer: Any) -> None:
        heard.append((float(answer.data[0]), int(answer.metadata.severity)))

    subscription = _pv(name).subscribe(data_type="time")
    subscription.add_callback(hear)
    kept[name] = subscription, hear  # caproto keeps neither alive


def _heard() -> list[Any]:
    return list(heard)


# The asyncio client.


async def _async_pv(name: str) -> Any:
    from caproto.asyncio.client import Context

    if "asyncio" not in kept:
        kept["asyncio"] = Context()
    (pv,) = await kept["asyncio"].get_pvs(f"SPEC1:{name}")
    await pv.wait_for_connection(timeout=10.0)
    return pv


async def _read_async(name: str) -> Any:
    return (await (await _async_pv(name)).read(timeout=5.0)).data.tolist()


async def _write_async(name: str, value: Any) -> tuple[str, float]:
    pv = await _async_pv(name)
    began = time.monotonic()
    answer = await pv.write(value, wait=True, timeout=None)
    return answer.status.name, time.monotonic() - began


def test_command_lines_put_and_get_numbers_labels_arrays_and_long_texts(bench: Bench) -> None:
    path = "/data/2026/11/" + "night/" * 20 + "frame_0001.fits"
    for words in (("AnEnum", "red"), ("Numbers", "[656.28, 486.13]"), ("Temperature", "90.5"), ("AString", "-S", path)):
        assert f"New : SPEC1:{words[0]} " in _run(bench, "put", "-c", "SPEC1:" + words[0], *words[1:])
    names = ["Temperature_RBV", "AnEnum_RBV", "Numbers_RBV", "Temperature.EGU", "AString_RBV"]
    printed = _run(bench, "get", "-S", *(f"SPEC1:{name}" for name in names)).splitlines()
    assert [line.split(maxsplit=1)[1] for line in printed] == ["[90.5]", "[red]", "[656.28 486.13]", "[K]", path]
    assert "[47 100 97 116 97 " in _run(bench, "get", "SPEC1:AString_RBV$")  # without -S: its bytes


def test_put_waits_for_the_end_of_an_operation_and_says_why_it_failed(bench: Bench) -> None:
    assert "New : SPEC1:Expose" in _run(bench, "put", "-c", "-w", "20", "SPEC1:Expose", "0.5")
    refused = _run(bench, "put", "-c", "-w", "20", "SPEC1:Stick", "0.3")
    assert "ECA_PUTFAIL" in refused and "the shutter is stuck after 0.3 s" in refused
    refused = _run(bench, "put", "SPEC1:Temperature", "401")  # without completion
    assert "401.0 K is outside [0.0, 400.0] K" in refused
    assert "ECA_NOWTACCESS" in _run(bench, "put", "-c", "SPEC1:Temperature_RBV", "50")


def test_monitor_prints_the_first_value_and_updates(bench: Bench) -> None:
    bench.publish("fast", 1.25)
    words = ["caproto-monitor", "--maximum", "2", "SPEC1:Fast"]
    with subprocess.Popen(words, env=bench.environment, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        assert monitor.stdout.readline().split()[-1] == "[1.25]"
        bench.publish("fast", 2.75)
        assert monitor.stdout.readline().split()[-1] == "[2.75]"
        assert monitor.wait(10.0) == 0


def test_the_synchronous_client_reads_writes_and_raises_with_the_reason(client: ClientProcess) -> None:
    client(_write, "Temperature", 97.0)
    assert client(_read, "Temperature_RBV") == [97.0]
    with pytest.raises(ClientError, match=r"RangeError: SPEC1:Temperature = 401.0 K"):
        client(_write, "Temperature", 401.0)
    with pytest.raises(ClientError, match="ECA_NOWTACCESS"):
        client(_write, "Temperature_RBV", 50.0)


def test_threading_shows_units_limits_times_and_severities(bench: Bench, client: ClientProcess) -> None:
    facts = ["units", "precision", "upper_ctrl_limit", "lower_alarm_limit"]
    assert client(_read_in_thread, "Temperature", "control", *facts)[1:] == [b"K", 2, 400.0, 70.0]
    assert client(_read_in_thread, "AnEnum", "control", "enum_strings")[1] == (b"open", b"red", b"blue")
    bench.publish("fast", 7.5, timestamp=1_600_000_000.25, quality="ALARM")
    expected = [[7.5], pytest.approx(1_600_000_000.25, abs=1e-6), 2]
    wait_for(
        lambda: client(_read_in_thread, "Fast", "time", "timestamp", "severity") == expected, 5.0, "7.5 in alarm"
    )  # fmt: skip
    assert client(_read_in_thread, "Spectrum", "time")[0] == []
    assert bytes(client(_read_in_thread, "Notes", "time")[0]).decode() == bench.device.read_attribute("notes").value


def test_threading_is_answered_at_the_end_of_an_operation_and_when_it_failed(client: ClientProcess) -> None:
    status, seconds = client(_write_in_thread, "Expose", [0.4], None)
    assert status == "ECA_NORMAL"
    assert 0.4 <= seconds < 5.0
    # The reply has the status; `write` returns it and raises nothing.
    status, seconds = client(_write_in_thread, "Stick", [0.3], None)
    assert status == "ECA_PUTFAIL"
    assert 0.3 <= seconds < 5.0
    assert client(_write_in_thread, "Temperature", [401.0], None)[0] == "ECA_PUTFAIL"
    assert client(_write_in_thread, "Temperature_RBV", [50.0], None)[0] == "ECA_NOWTACCESS"
    with pytest.raises(ClientError, match="CaprotoTimeoutError"):
        client(_write_in_thread, "Expose", [5.0], 0.3)


def test_threading_knows_what_it_may_write(client: ClientProcess) -> None:
    assert [client(_rights, name) for name in ("Temperature", "Temperature_RBV", "Fail")] == [
        "READ|WRITE", "READ", "READ",
    ]  # fmt: skip


def test_threading_monitors_hear_the_first_value_updates_and_severities(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 1.5)
    wait_for(lambda: client(_read_in_thread, "Fast", "time")[0] == [1.5], 5.0, "1.5")
    client(_monitor, "Fast")
    wait_for(lambda: client(_heard) == [(1.5, 0)], 5.0, "the first value")
    bench.publish("fast", 2.5)
    wait_for(lambda: client(_heard)[-1] == (2.5, 0), 5.0, "an update")
    bench.publish("fast", 3.5, quality="WARNING")
    wait_for(lambda: client(_heard)[-1] == (3.5, 1), 5.0, "its severity")


def test_asyncio_reads_writes_and_is_answered_when_it_failed(client: ClientProcess) -> None:
    assert client(_write_async, "Temperature", [94.5])[0] == "ECA_NORMAL"
    assert client(_read_async, "Temperature_RBV") == [94.5]
    status, seconds = client(_write_async, "Stick", [0.2])
    assert status == "ECA_PUTFAIL"
    assert 0.2 <= seconds < 5.0
