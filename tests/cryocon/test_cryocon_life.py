"""The life of a CryoCon device: links that come, break and come back, wrong instruments, restarts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from devices.core import DeviceState, Quality
from devices.core.errors import ConfigurationError, RefusedError
from devices.cryocon import CryoCon
from devices.simulators.cryocon import CryoConSimulator
from tests.cryocon.cryocon_bench import FROZEN, QUICK, becomes, bench, device_on, lines, read_through, sent, value
from tests.support.running import running, until


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("way", ["udp", "pty"])
def test_it_works_over_udp_and_a_serial_line(way: str) -> None:
    async def main() -> None:
        simulator = CryoConSimulator("22C", seed=3, speed=FROZEN)
        await simulator.start(udp_port=0)
        link = f"udp://127.0.0.1:{simulator.udp_port}"
        if way == "pty":
            link = f"serial://{await simulator.open_pty()}?baudrate=19200"
        async with running(device_on(simulator, link=link)) as device:
            await read_through(device)
            assert value(device, "temperature_a") == pytest.approx(80.0, abs=0.1)
            await device.put("setpoint_2", 66.5)
            assert simulator.instrument.settings.loops[2].setpoint == value(device, "setpoint_2") == 66.5
            run = await device.run("read_pid_table", {"number": 2})
            await until(lambda: not device.operations.active, "the end")
            status = device.operations.status(run)
            if way == "udp":
                assert status["state"] == "FAILED"
                assert "UDP carries one; use tcp or serial" in status["error"]
            else:
                assert status["result"]["lines"][0] == "PID Table 2"
        await simulator.stop()

    asyncio.run(main())


def test_a_device_that_is_off_at_start_is_a_fault_and_recovers_by_itself() -> None:
    async def main() -> None:
        port = free_port()
        device = CryoCon("test/cryocon/off", {"link": f"tcp://127.0.0.1:{port}", **QUICK})
        async with running(device):
            await until(lambda: device.state is DeviceState.FAULT, "FAULT")
            assert f"tcp://127.0.0.1:{port}: connection refused" in device.status
            readings = [live.reading for name, live in device.attributes.items() if name.endswith("_a")]
            assert readings
            assert all(r.quality is Quality.INVALID and "refused" in r.reason for r in readings)
            simulator = CryoConSimulator("24C", speed=FROZEN)
            await simulator.start(port=port)
            await read_through(device)
            assert device.state is DeviceState.STANDBY
            assert value(device, "setpoint_1") == 80.0
            await simulator.stop()

    asyncio.run(main())


def test_a_lost_link_makes_every_reading_invalid_and_comes_back_by_itself() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            own = {"description", "alarm_summary", "reserved_by", "operation", "progress"} | {
                name for name in device.attributes if name.startswith("operation_")
            }
            simulator.mute()
            simulator.drop_connections()
            await until(lambda: device.state is DeviceState.FAULT, "FAULT")
            for name, live in device.attributes.items():
                assert (live.reading.quality is Quality.INVALID) is (name not in own), name
            assert value(device, "description") == "Cryo-con 24C"
            simulator.mute(False)
            await until(lambda: device.state is DeviceState.STANDBY, "back", 10.0)
            await read_through(device)
            assert value(device, "max_setpoint_1") == 400.0

    asyncio.run(main())


def test_an_instrument_that_falls_silent_is_a_lost_link() -> None:
    async def main() -> None:
        async with bench(timeout=0.1) as (simulator, device):
            simulator.mute()
            await until(lambda: device.state is DeviceState.FAULT, "FAULT")
            assert device.attributes["temperature_a"].quality is Quality.INVALID
            simulator.mute(False)
            await until(lambda: value(device, "temperature_a") is not None, "back", 10.0)

    asyncio.run(main())


def test_the_wrong_model_behind_the_link_is_a_fault_and_the_right_one_recovers() -> None:
    async def main() -> None:
        async with CryoConSimulator("22C", speed=FROZEN) as wrong:
            port = wrong.port
            device = device_on(wrong, model="24C")
            async with running(device):
                await until(lambda: device.state is DeviceState.FAULT, "FAULT")
                assert "a 22C answers, the property model says 24C" in device.status
                assert not sent(wrong, "SETP")
                await wrong.stop()
                right = CryoConSimulator("24C", speed=FROZEN)
                await right.start(port=port)
                await until(lambda: device.state is DeviceState.STANDBY, "STANDBY", 15.0)
                await becomes(device, "identity", "Cryo-con 24C, serial 204683, firmware 3.30A")
                await right.stop()

    asyncio.run(main())


def test_no_cryocon_at_all_is_a_fault_that_says_who_is_there() -> None:
    async def main() -> None:
        async def printer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"Cryo-con,62,123456,1.0\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(printer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        device = CryoCon("test/cryocon/stranger", {"link": f"tcp://127.0.0.1:{port}", **QUICK})
        async with running(device):
            await until(lambda: "model = '62' is none of 18i, 22C, 24C, 24" in device.status, "the fault")
            assert device.state is DeviceState.FAULT
        server.close()

    asyncio.run(main())


class Memory:
    """A store of memorized values."""

    def __init__(self, **values: str) -> None:
        self.values = dict(values)

    def load(self) -> Mapping[str, str]:
        return self.values

    def save(self, values: Mapping[str, str]) -> None:
        self.values.update(values)


def test_a_restart_never_moves_a_heater() -> None:
    async def main() -> None:
        async with CryoConSimulator("24C", speed=FROZEN) as simulator:
            store = Memory()
            async with running(device_on(simulator), store) as device:
                await read_through(device)
                await device.put("setpoint_1", 95.0)
            assert store.values == {"setpoint_1": "95.0"}
            simulator.instrument.settings.loops[1].setpoint = 40.0  # at the front panel, while the server was down
            simulator.messages.clear()
            async with running(device_on(simulator), store) as device:
                await read_through(device)
                await until(lambda: "memorized: setpoint_1 = 95.0" in device.status, "the offer")
                assert value(device, "setpoint_1") == 40.0
                setpoint = device.attributes["setpoint_1"].setpoint
                assert setpoint is not None
                assert setpoint.value == 40.0
                commands = [line for line in lines(simulator) if not line.endswith("?") or " " in line.split("?")[-1]]
                assert not commands, "nothing but questions was sent"
                await device.run("apply_memorized", {"name": "setpoint_1"})
                assert simulator.instrument.settings.loops[1].setpoint == 95.0
                assert "memorized" not in device.status

    asyncio.run(main())


def test_init_commands_are_sent_once_per_process_and_never_by_init_or_a_reconnect() -> None:
    async def main() -> None:
        async with CryoConSimulator("24C", speed=FROZEN) as simulator:
            commands = ["input A:units C", "loop 1:type off", "loop 2:setpt 55.5"]
            properties = {"link": simulator.url, **QUICK, "init_commands": commands}

            def seen() -> int:
                return len(sent(simulator, "loop 2:setpt 55.5"))

            async with running(CryoCon("test/cryocon/init", properties)) as device:
                await read_through(device)
                assert seen() == 1
                assert device.attributes["temperature_a"].spec.unit == "degC"
                assert (value(device, "type_1"), value(device, "setpoint_2")) == ("OFF", 55.5)
                await device.put("setpoint_2", 60.0)
                simulator.drop_connections()
                await until(lambda: not device.connected, "the link is lost")
                await until(lambda: device.connected and value(device, "setpoint_2") == 60.0, "back")
                assert seen() == 1
            # What Tango's Init does: the same device is built anew in the same process.
            async with running(CryoCon("test/cryocon/init", properties)) as device:
                await read_through(device)
                assert seen() == 1
                assert value(device, "setpoint_2") == 60.0
                await device.run("send_init_commands")
                assert seen() == 2
                await becomes(device, "setpoint_2", 55.5)

    asyncio.run(main())


def test_a_wrong_init_command_is_a_fault_that_stops_nothing_else() -> None:
    async def main() -> None:
        async with CryoConSimulator("24C", speed=FROZEN) as simulator:
            commands = ["input A:unitz C", "loop 2:setpt 55.5"]
            async with running(device_on(simulator, init_commands=commands)) as device:
                await read_through(device)
                assert device.state is DeviceState.FAULT
                assert "init_commands: " in device.status
                assert "input A:unitz C was refused (NACK)" in device.status
                assert value(device, "temperature_a") == pytest.approx(80.0, abs=0.1)
                assert value(device, "setpoint_2") == 55.5
                assert len(sent(simulator, "unitz")) == 1
                with pytest.raises(RefusedError, match="unitz"):
                    await device.run("send_init_commands")

    asyncio.run(main())


def test_a_refused_line_or_a_wrong_answer_leaves_the_device_working() -> None:
    async def main() -> None:
        async with bench(settings_period=0.5) as (simulator, device):
            for _ in range(3):
                simulator.garbage(b"NACK\r\n")
                simulator.garbage(b"what?\r\n")
            await until(lambda: not simulator._garbage, "all rubbish is sent")
            await until(lambda: all(not _broken(live.reading.reason) for live in device.attributes.values()), "well")
            assert device.state is DeviceState.STANDBY

    asyncio.run(main())


def _broken(text: str) -> bool:
    return bool(text) and "not applicable" not in text


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"used_inputs": ["A", "Q"]}, "used_inputs = Q: none of A, B, C, D"),
        ({"used_loops": ["5"]}, "used_loops = 5: none of 1, 2, 3, 4"),
        ({"model": "18i", "used_loops": ["1"]}, "used_loops = 1: none of nothing: it has no loops"),
        ({"model": "62"}, "model = '62': none of 18i, 22C, 24C, 24"),
        ({"spacing": "-1"}, "spacing = '-1': outside"),
    ],
)
def test_wrong_properties_are_named(properties: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match="1/wrong") as caught:
        CryoCon("1/wrong", {"link": "tcp://127.0.0.1:1", **properties})
    assert problem in str(caught.value)
    assert len(caught.value.problems) == 1


def test_messages_keep_their_distance_at_start_too() -> None:
    async def main() -> None:
        async with CryoConSimulator("22C", speed=FROZEN) as simulator:
            async with running(device_on(simulator, spacing=0.1, period=1.0, settings_period=10.0)) as device:
                await until(lambda: value(device, "temperature_a") is not None, "the first temperature")
                await device.put("setpoint_1", 70.0)
                await read_through(device)
            times = [when for when, _ in simulator.messages]
            assert min(late - early for early, late in pairwise(times)) >= 0.099
            # 14 components of settings and the polls meanwhile; the temperatures did not wait for the settings.
            assert len(times) < 30
            first = next(i for i, line in enumerate(lines(simulator)) if line.startswith("CONT?;:INP"))
            assert first <= 1

    asyncio.run(main())
