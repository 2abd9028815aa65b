"""The mirror is killed and comes back: clients hear it, are connected again, and no put is left hanging."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.bench import Bench
from tests.clients.process import ClientProcess
from tests.facility.running import command, wait_for

kept: list[Any] = []  # in the client's process
heard: list[Any] = []  # values, and "gone"


def _heard() -> list[Any]:
    return list(heard)


async def _heard_async() -> list[Any]:
    import asyncio

    await asyncio.sleep(0.05)  # the loop turns, and callbacks run
    return list(heard)


def _outcome(put: Callable[[], Any]) -> str:
    """How a put ended: what it returned or raised."""
    try:
        return repr(put())
    except Exception as error:
        return repr(error)


def _watch_with_pyepics() -> None:
    import epics

    kept.append(
        epics.PV(
            "SPEC1:Fast",
            callback=lambda value, **_: heard.append(value),
            connection_callback=lambda conn, **_: heard.append("connected" if conn else "gone"),
        )
    )


def _put_with_pyepics(pv: str) -> str:
    import epics

    return _outcome(lambda: epics.caput(pv, 60.0, wait=True, timeout=10.0))


async def _watch_with_aioca() -> None:
    from aioca import camonitor

    kept.append(camonitor("SPEC1:Fast", lambda v: heard.append(+v if v.ok else "gone"), notify_disconnect=True))


async def _put_with_aioca(pv: str) -> str:
    from aioca import caput

    try:
        return repr(await caput(pv, 60.0, wait=True, timeout=None))
    except Exception as error:
        return repr(error)


def _watch_with_caproto() -> None:
    from caproto.threading.client import Context

    context = Context()
    kept.append(context)

    def state(pv: Any, state: str) -> None:
        heard.append({"disconnected": "gone"}.get(state, state))

    def hear(subscription: Any, answer: Any) -> None:
        heard.append(float(answer.data[0]))

    (pv,) = context.get_pvs("SPEC1:Fast", connection_state_callback=state)
    pv.wait_for_connection(timeout=10.0)
    subscription = pv.subscribe()
    subscription.add_callback(hear)
    kept.append((state, hear, subscription))


def _put_with_caproto(name: str) -> str:
    (pv,) = kept[0].get_pvs(name)
    pv.wait_for_connection(timeout=10.0)
    return _outcome(lambda: pv.write([60.0], wait=True, timeout=10.0))


def _watch_with_p4p() -> None:
    from p4p.client.thread import Context

    context = Context("pva")
    kept.append(context)

    def hear(value: Any) -> None:
        heard.append("gone" if isinstance(value, Exception) else float(value))

    kept.append(context.monitor("SPEC1:Fast", hear, notify_disconnect=True))


def _put_with_p4p(pv: str, seconds: float = 6.0) -> str:
    return _outcome(lambda: kept[0].put(pv, 60.0, wait=True, timeout=seconds))


def _get_with_p4p(pv: str) -> float:
    return float(kept[0].get(pv, timeout=20.0))


def _label_with_p4p(pv: str) -> str:
    return str(kept[0].get(pv, timeout=20.0))


@dataclass(frozen=True)
class Client:
    """One library: how it watches a PV, and how it puts one."""

    watch: Callable[..., Any]
    put: Callable[..., Any]
    lamp: str
    heard: Callable[..., Any] = _heard


CLIENTS = {
    "pyepics": Client(_watch_with_pyepics, _put_with_pyepics, "SPEC1:GlowA"),
    "aioca": Client(_watch_with_aioca, _put_with_aioca, "SPEC1:GlowB", _heard_async),
    "caproto": Client(_watch_with_caproto, _put_with_caproto, "SPEC1:GlowC"),
    "p4p": Client(_watch_with_p4p, _put_with_p4p, "SPEC1:GlowD"),
}


@pytest.fixture
def processes(bench: Bench) -> Iterator[dict[str, ClientProcess]]:
    running = {name: ClientProcess(bench.environment) for name in CLIENTS}
    yield running
    for process in running.values():
        process.close()


def _lamps(bench: Bench) -> list[str]:
    """The lamps that were asked for."""
    return sorted(each["name"] for each in json.loads(bench.device.operations()) if each["name"].startswith("glow"))


def _ids(bench: Bench) -> set[str]:
    return {each["id"] for each in json.loads(bench.device.operations())}


@pytest.mark.long
def test_clients_live_through_the_death_of_the_mirror(bench: Bench, processes: dict[str, ClientProcess]) -> None:
    bench.publish("fast", 1.5)
    for name, client in CLIENTS.items():
        processes[name](client.watch)
    for name, client in CLIENTS.items():
        wait_for(lambda n=name, c=client: 1.5 in processes[n](c.heard), 20.0, f"{name} hears the first value")

    # Each client waits for the end of an operation of its own; one runs, the others are queued.
    for name, client in CLIENTS.items():
        processes[name].begin(client.put, client.lamp)
    wait_for(lambda: _lamps(bench) == ["glow_a", "glow_b", "glow_c", "glow_d"], 15.0, "all are asked for")

    before = bench.up.pid("mirror")
    bench.kill_mirror()
    wait_for(lambda: bench.up.pid("mirror") != before, 10.0, "the facility starts it again")

    # No put looks like a success, but pyepics does not tell a failure from an end.
    outcomes = {name: processes[name].end(30.0) for name in CLIENTS}
    assert outcomes.pop("pyepics") in ("1", "-1")
    assert all("Error" in outcome or "CANothing" in outcome for outcome in outcomes.values()), outcomes
    # Over Channel Access nothing is put twice. p4p puts again when it is connected again before it gives up.
    assert [lamp for lamp in _lamps(bench) if lamp != "glow_d"] == ["glow_a", "glow_b", "glow_c"]

    # p4p looks for lost channels every 30 s, and for all of them when it is asked for a new one.
    assert processes["p4p"](_get_with_p4p, "SPEC1:Counts") >= 0
    bench.publish("fast", 2.5)
    for name, client in CLIENTS.items():
        wait_for(lambda n=name, c=client: 2.5 in processes[n](c.heard), 40.0, f"{name} is connected again")
        told = processes[name](client.heard)
        assert "gone" in told[told.index(1.5) : told.index(2.5)]


@pytest.mark.long
def test_a_mirror_that_is_stopped_tells_who_waits_and_the_next_one_goes_on(
    bench: Bench, processes: dict[str, ClientProcess]
) -> None:
    """So p4p does not put again, and the operation is shown, and can be aborted, as if nothing had happened."""
    p4p, before = processes["p4p"], _ids(bench)
    p4p(_watch_with_p4p)
    p4p.begin(_put_with_p4p, "SPEC1:Expose", 30.0)
    wait_for(lambda: bench.device.read_attribute("operation").value == "expose", 15.0, "the exposure runs")
    stopped = command("stop", "mirror", "--state-dir", bench.up.state_dir)
    assert stopped.returncode == 0, stopped.stderr
    assert "goes on, but the mirror no longer follows it" in p4p.end(10.0)
    started = command("serve", "mirror", "--background", "--state-dir", bench.up.state_dir)
    assert started.returncode == 0, started.stderr
    wait_for(lambda: p4p(_label_with_p4p, "SPEC1:Expose:Status") == "RUNNING", 20.0, "the next mirror shows it")
    bench.device.abort("")
    wait_for(lambda: p4p(_label_with_p4p, "SPEC1:Expose:Status") == "ABORTED", 20.0, "and its end")
    assert len(_ids(bench) - before) == 1
