"""A device reaches another server's device: values, puts, commands, operations, and its loss."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from devices.core import Quality, Reading
from devices.core.errors import AbortedError, BadValueError, RangeError, UnknownNameError
from servers.neighbours.all_neighbours import AllNeighbours
from tests.support.serving import Server, serving

DEVICE = "test/everything/1"


async def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


def with_neighbours(server: Server, test: Callable[[AllNeighbours], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        neighbours = AllNeighbours(lambda device: server.address)
        try:
            await test(neighbours)
        finally:
            await neighbours.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving("tests.support.everything:Everything", DEVICE, folder=tmp_path_factory.mktemp("server")) as running:
        yield running


def test_a_watched_attribute_tells_its_value_and_each_change_with_the_time_of_the_hardware(server: Server) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        seen: list[Reading[Any]] = []
        watch = neighbours.watch(f"{DEVICE}/temperature", seen.append)
        await until(lambda: seen)
        await neighbours.run(f"{DEVICE}/turn_front_panel", {"kelvin": 91.5})
        await until(lambda: seen[-1].value == 91.5)
        assert abs(seen[-1].timestamp - time.time()) < 5.0
        assert seen[-1].quality is Quality.WARNING if seen[-1].value >= 110 else Quality.VALID
        watch.close()
        told = len(seen)
        await neighbours.run(f"{DEVICE}/turn_front_panel", {"kelvin": 92.5})
        await asyncio.sleep(0.3)
        assert len(seen) == told

    with_neighbours(server, test)


def test_a_put_takes_a_text_for_a_number_and_a_label_for_an_enumeration(server: Server) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        await neighbours.put(f"{DEVICE}/position", "-2.5")
        assert (await neighbours.read(f"{DEVICE}/position")).value == -1.25
        await neighbours.put(f"{DEVICE}/an_enum", "blue")
        assert (await neighbours.read(f"{DEVICE}/an_enum")).value == 2

    with_neighbours(server, test)


def test_what_the_device_refuses_is_refused_with_its_own_words(server: Server) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        with pytest.raises(RangeError, match=r"position.*11.*mm"):
            await neighbours.put(f"{DEVICE}/position", 11.0)
        with pytest.raises(BadValueError, match="position = 'far'"):
            await neighbours.put(f"{DEVICE}/position", "far")
        with pytest.raises(UnknownNameError, match="no command fly"):
            await neighbours.run(f"{DEVICE}/fly", {})
        with pytest.raises(BadValueError, match="is no address"):
            await neighbours.read("position")

    with_neighbours(server, test)


def test_facts_give_unit_and_limits(server: Server) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        facts = await neighbours.facts(f"{DEVICE}/position")
        assert (facts.unit, facts.limits, facts.is_writable) == ("mm", (-10.0, 10.0), True)
        assert (await neighbours.facts(f"{DEVICE}/an_enum")).labels == ("open", "red", "blue")
        assert not (await neighbours.facts(f"{DEVICE}/a_state")).is_writable

    with_neighbours(server, test)


def test_commands_take_named_arguments_of_any_number_and_give_their_results(server: Server) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        assert await neighbours.run(f"{DEVICE}/add", {"first": 1.5, "second": 4}) == 5.5
        assert await neighbours.run(f"{DEVICE}/reverse", {"text": "loop"}) == "pool"
        assert await neighbours.run(f"{DEVICE}/nothing", {}) is None

    with_neighbours(server, test)


def test_an_operation_is_followed_to_its_end_and_its_progress_is_told(server: Server) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        told: list[float] = []
        result = await neighbours.run(
            f"{DEVICE}/expose", {"seconds": 0.7}, lambda per_cent, text: told.append(per_cent)
        )
        assert result == {"seconds": 0.7}
        assert told == sorted(told) and any(0 < each < 100 for each in told)

    with_neighbours(server, test)


def test_a_cancelled_call_aborts_the_operation_that_it_began(server: Server) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        running = asyncio.create_task(neighbours.run(f"{DEVICE}/expose", {"seconds": 60.0}))
        state: list[Reading[Any]] = []
        neighbours.watch(f"{DEVICE}/state", state.append)
        await until(lambda: state and state[-1].value == "RUNNING")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: state[-1].value != "RUNNING")

    with_neighbours(server, test)


def test_an_operation_that_another_client_aborts_says_so(server: Server) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        running = asyncio.create_task(neighbours.run(f"{DEVICE}/expose", {"seconds": 60.0}))
        state: list[Reading[Any]] = []
        neighbours.watch(f"{DEVICE}/state", state.append)
        await until(lambda: state and state[-1].value == "RUNNING")
        await neighbours.run(f"{DEVICE}/abort", {"id": ""})
        with pytest.raises(AbortedError):
            await running

    with_neighbours(server, test)


def test_a_killed_server_is_told_as_invalid_and_its_values_come_back_with_it(tmp_path: Path) -> None:
    async def test(neighbours: AllNeighbours) -> None:
        seen: list[Reading[Any]] = []
        neighbours.watch(f"{DEVICE}/gain", seen.append)
        await until(lambda: seen and seen[-1].value == 1.0)
        running.process.kill()
        running.process.wait()
        await until(lambda: seen[-1].quality is Quality.INVALID)
        with serving("tests.support.everything:Everything", DEVICE, folder=tmp_path / "again", port=running.port):
            await until(lambda: seen[-1].value == 1.0, 15.0)

    with serving("tests.support.everything:Everything", DEVICE, folder=tmp_path) as running:
        with_neighbours(running, test)
