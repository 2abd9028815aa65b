"""What takes a CryoCon longer: tuning, curves, tables, the data log; and the rarer commands."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest

from devices.core import DeviceState
from devices.core.errors import BadValueError, BusyError, RangeError
from devices.cryocon import CryoCon
from devices.simulators.cryocon.physics import TuningStatus
from tests.cryocon.cryocon_bench import becomes, bench, lines, sent, value
from tests.support.running import until


async def ended(device: CryoCon, run: str, seconds: float = 10.0) -> dict[str, Any]:
    """The status of an operation when it has ended."""
    final = {"DONE", "FAILED", "ABORTED"}
    await until(lambda: device.operations.status(run)["state"] in final, "the operation ends", seconds)
    return device.operations.status(run)


async def done(device: CryoCon, name: str, **arguments: Any) -> Any:
    """The result of an operation, which must end well."""
    status = await ended(device, await device.run(name, arguments))
    assert status["state"] == "DONE", status["error"]
    return status["result"]


def _kelvin(device: CryoCon) -> float:
    return float(value(device, "temperature_a") or 0.0)


# Auto-tuning --------------------------------------------------------------------------------------------------------


def test_auto_tune_finds_gains_that_regulate() -> None:
    async def main() -> None:
        async with bench(speed=400.0) as (simulator, device):
            loop = simulator.instrument.loops[1]
            await device.put("setpoint_1", 70.0)
            await device.run("control_on")
            await until(
                lambda: abs(loop.output - 50.0) < 0.2 and abs(_kelvin(device) - 70.0) < 0.02, "it settles", 20.0
            )
            arguments = {"loop": 1, "mode": "PI", "delta_power": 10.0, "timeout": 900.0}
            run = await device.run("auto_tune", arguments)
            assert device.state is DeviceState.RUNNING
            await until(lambda: "running" in device.attributes["operation_message"].value, "the message")
            assert 0.0 <= value(device, "progress") < 100.0
            status = await ended(device, run)
            assert (status["state"], status["progress"]) == ("DONE", 100.0), status["error"]
            result = status["result"]
            assert (result["loop"], result["saved"], result["d_gain"]) == (1, True, 0.0)
            # 1 % of 5 W through 0.05 W/K is 1 K; 5 J/K behind 0.05 W/K take 100 s, the sensor 2 s more.
            # The rule of the simulator: P = lag / (gain (closed + dead)), I = 4 (closed + dead), closed = lag / 10.
            closed_and_dead = result["i_gain"] / 4.0
            assert 10.0 < closed_and_dead < 16.0
            assert result["p_gain"] == pytest.approx(100.0 / closed_and_dead, rel=0.2)
            settings = loop.settings
            assert (settings.p_gain, settings.i_gain) == pytest.approx((result["p_gain"], result["i_gain"]), rel=1e-3)
            assert loop.tuning.status is TuningStatus.IDLE
            await becomes(device, "p_gain_1", pytest.approx(settings.p_gain, abs=1e-5))
            assert value(device, "type_1") == "PID"
            await until(lambda: abs(value(device, "temperature_a") - 70.0) < 0.05, "it regulates", 10.0)

    asyncio.run(main())


def test_an_aborted_tuning_leaves_the_loop_as_it_was() -> None:
    async def main() -> None:
        async with bench(speed=5.0) as (simulator, device):
            await device.run("control_on")
            run = await device.run("auto_tune", {"loop": 1, "timeout": 600.0})
            await until(lambda: simulator.instrument.loops[1].tuning.status is TuningStatus.RUNNING, "it runs")
            with pytest.raises(BusyError, match="auto_tune runs"):
                await device.run("auto_tune", {"loop": 2})
            await device.run("abort", {"id": run})
            status = await ended(device, run)
            assert status["state"] == "ABORTED"
            assert simulator.instrument.loops[1].tuning.status is TuningStatus.ABORT
            settings = simulator.instrument.settings.loops[1]
            assert (settings.p_gain, settings.i_gain, settings.type) == (5.0, 60.0, "PID")
            assert device.state is DeviceState.ON

    asyncio.run(main())


def test_a_tuning_that_fails_says_how_and_ends() -> None:
    async def main() -> None:
        async with bench(speed=100.0) as (simulator, device):
            await device.run("control_on")
            # A test takes 25 s at least, and the instrument's own time is up after 10 s.
            status = await ended(device, await device.run("auto_tune", {"loop": 2, "timeout": 10.0}))
            assert status["state"] == "FAILED"
            assert "RefusedError: auto-tune of loop 2 ended as FAILED" in status["error"]
            assert simulator.instrument.loops[2].tuning.status is TuningStatus.ABORT, "it was told to end"
            assert "FAILED" in value(device, "operation_error")

    asyncio.run(main())


def test_gains_that_are_not_wanted_do_not_hold_the_heater() -> None:
    async def main() -> None:
        async with bench(speed=400.0) as (simulator, device):
            await device.run("control_on")
            result = await done(device, "auto_tune", loop=1, timeout=900.0, save=False)
            assert result["saved"] is False
            assert result["p_gain"] > 0.0
            loop = simulator.instrument.loops[1]
            assert loop.tuning.status is TuningStatus.ABORT, "COMPLETE would hold the output"
            assert loop.settings.p_gain == 5.0

    asyncio.run(main())


def test_tuning_needs_control_and_a_loop() -> None:
    async def main() -> None:
        async with bench(used_loops=["1", "2"]) as (simulator, device):
            status = await ended(device, await device.run("auto_tune", {"loop": 1}))
            assert status["error"].startswith("NotAllowedError: auto_tune needs the loops in control")
            await device.run("control_on")
            status = await ended(device, await device.run("auto_tune", {"loop": 3}))
            assert status["error"] == "NotAllowedError: loop = 3 is none of 1, 2"
            with pytest.raises(RangeError, match=r"loop = 5 is outside \[1, 4\]"):
                await device.run("auto_tune", {"loop": 5})
            with pytest.raises(RangeError, match="mode = 'PIDD' is none of P, PI, PID"):
                await device.run("auto_tune", {"loop": 1, "mode": "PIDD"})
            assert not sent(simulator, "AUT:STAR")

    asyncio.run(main())


def test_tuning_goes_on_over_a_lost_link() -> None:
    async def main() -> None:
        async with bench(speed=100.0) as (simulator, device):
            await device.run("control_on")
            run = await device.run("auto_tune", {"loop": 1, "timeout": 1200.0, "delta_power": 10.0})
            await until(lambda: simulator.instrument.loops[1].tuning.status is TuningStatus.RUNNING, "it runs")
            simulator.drop_connections()
            await until(lambda: "no answer" in value(device, "operation_message"), "the message", 5.0)
            status = await ended(device, run, 30.0)
            assert status["state"] == "DONE", status["error"]
            assert simulator.instrument.settings.loops[1].p_gain == pytest.approx(status["result"]["p_gain"], rel=1e-3)

    asyncio.run(main())


def test_who_sees_the_end_of_an_operation_may_start_the_next() -> None:
    async def main() -> None:
        async with bench() as (_, device):
            for number in (1, 2, 3, 4, 5, 6) * 4:
                run = await device.run("read_pid_table", {"number": number})
                while device.operations.status(run)["state"] != "DONE":  # noqa: ASYNC110
                    await asyncio.sleep(0)

    asyncio.run(main())


# What is stored -----------------------------------------------------------------------------------------------------


def test_a_curve_goes_to_the_instrument_and_comes_back() -> None:
    async def main() -> None:
        async with bench(speed=100.0) as (simulator, device):
            text = ["Thermometer 9", "ACR", "-1", "Logohm", "2.5 290", "3.125 21.5", "4.75 1.25"]
            result = await done(device, "write_curve", number=3, lines="\n".join(text))
            assert result == {"number": 3, "name": "Thermometer 9", "points": 3}
            assert simulator.instrument.sensors[63].points == ((2.5, 290.0), (3.125, 21.5), (4.75, 1.25))
            assert (await done(device, "read_curve", number=3))["lines"] == text
            head = {"number": 63, "name": "Thermometer 9", "units": "Logohm", "type": "ACR", "multiplier": -1.0}
            assert (await device.run("read_sensor", {"number": 63})) == {**head, "points": 3}
            run = await device.run("write_curve", {"number": 3, "lines": "Bad\nACR\n-1\nFurlongs\n1 2\n3 4"})
            assert (await ended(device, run))["error"].startswith(
                "BadValueError: no calibration curve in ['Bad', 'ACR'"
            )
            head = {"number": 63, "name": "Th 10", "units": "Ohms", "type": "PTC100", "multiplier": 2.0}
            await device.run("set_sensor", head)
            assert simulator.instrument.sensors[63].name == "Th 10"
            assert (await device.run("read_sensor", {"number": 63})) == {**head, "points": 3}
            with pytest.raises(RangeError, match=r"number = 60 is outside \[61, 68\]"):
                await device.run("set_sensor", {**head, "number": 60})

    asyncio.run(main())


def test_a_pid_table_goes_to_the_instrument_and_comes_back() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            text = ["Cold finger", "300 1.5 160 0 HI Default", "77.5 5 60.25 2 MID ChB", "4.25 9 12 0.5 LOW ChD"]
            result = await done(device, "write_pid_table", number=4, lines="\n".join(text))
            assert result == {"number": 4, "name": "Cold finger", "entries": 3}
            entries = simulator.instrument.pid_tables[4].entries
            assert [(e.setpoint, e.gains.i, e.range, e.source) for e in entries] == [
                (300.0, 160.0, "HI", None), (77.5, 60.25, "MID", "B"), (4.25, 12.0, "LOW", "D"),
            ]  # fmt: skip
            assert (await done(device, "read_pid_table", number=4))["lines"] == text
            tables = await device.run("list_pid_tables")
            assert tables["4"] == {"name": "Cold finger", "entries": 3}
            assert tables["1"] == {"name": "PID Table 1", "entries": 2}

    asyncio.run(main())


def test_the_data_log_is_read_with_its_times_and_gaps() -> None:
    async def main() -> None:
        async with bench(speed=20.0) as (simulator, device):
            simulator.open_sensor("C")
            await until(lambda: simulator.instrument.temperature_text("C") == "-------", "the fault")
            await device.put("log_interval", 2.0)
            await device.put("log_enabled", True)
            await until(lambda: value(device, "log_count") >= 4, "records")
            await device.put("log_enabled", False)
            records = (await done(device, "read_log"))["records"]
            assert len(records) == len(simulator.instrument.log) >= 4
            number, time, texts = simulator.instrument.log[0]
            assert records[0][0] == time.isoformat(timespec="seconds")
            assert records[0][1] == pytest.approx(float(texts[0]))
            assert [row[3] for row in records] == [None] * len(records), "a broken sensor gave no numbers"
            await device.run("reset_log")
            assert simulator.instrument.log_number == 0 < number
            await device.run("clear_log")
            await becomes(device, "log_count", 0)
            assert (await done(device, "read_log"))["records"] == []

    asyncio.run(main())


def test_polls_wait_while_a_block_is_on_the_line() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            system = simulator.instrument.settings.system
            system.log_enabled, system.log_interval = True, 0.1
            simulator.instrument.advance(50.0)
            system.log_enabled = False
            with device.line_taken():
                before = len(simulator.messages) + 1
                await asyncio.sleep(0.3)
                assert len(simulator.messages) <= before, "at most the one that was on the line"
            assert len((await done(device, "read_log"))["records"]) > 490
            await until(lambda: len(simulator.messages) > before + 5, "the polls go on")
            assert device.state is DeviceState.STANDBY

    asyncio.run(main())


def test_configurations_are_stored_named_and_restored() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            await device.put("setpoint_1", 44.0)
            await device.run("save_configuration", {"number": 2, "name": "Cold"})
            await device.put("setpoint_1", 290.0)
            await device.put("p_gain_2", 9.0)
            await device.run("save_configuration", {"number": 5})
            assert await device.run("list_configurations") == {
                "1": "Config 1", "2": "Cold", "3": "Config 3", "4": "Config 4", "5": "Config 5", "6": "Config 6",
            }  # fmt: skip
            await device.run("restore_configuration", {"number": 2})
            assert simulator.instrument.settings.loops[1].setpoint == 44.0
            await becomes(device, "setpoint_1", 44.0)
            await becomes(device, "p_gain_2", 5.0)

    asyncio.run(main())


# The rarer commands -------------------------------------------------------------------------------------------------


def test_the_clock_is_read_and_set() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            await device.run("set_clock", {"time": "2031-12-30T23:58:57"})
            assert simulator.instrument.now.isoformat(timespec="seconds") == "2031-12-30T23:58:57"
            assert await device.run("read_clock") == "2031-12-30T23:58:57"
            with pytest.raises(BadValueError, match="time = 'noon' is not like"):
                await device.run("set_clock", {"time": "noon"})
            await device.run("set_clock", {"time": ""})
            assert simulator.instrument.now.year != 2031

    asyncio.run(main())


def test_network_and_mail_are_read_and_set() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            network = {"address": "10.1.2.3", "port": 5007, "name": "Dewar 7", "dhcp": False}
            await device.run("set_network", network)
            assert await device.run("read_network") == {**network, "mac_address": "00:50:C2:6F:40:3C"}
            mail = {"server": "10.1.2.9", "sender": "a@b", "recipient": "operators@b", "port": 26, "enabled": True}
            await device.run("set_mail", {"letter": "b", **mail})
            assert await device.run("read_mail", {"letter": "B"}) == mail
            assert simulator.instrument.settings.mail["B"].recipient == "operators@b"
            assert (await device.run("read_mail", {"letter": "A"}))["enabled"] is False
            with pytest.raises(RangeError, match="'E' is none of A, B, C, D"):
                await device.run("read_mail", {"letter": "E"})

    asyncio.run(main())


def test_any_command_can_be_sent() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            await device.run("send", {"text": "input A:units C"})
            await until(lambda: device.attributes["temperature_a"].spec.unit == "degC", "the unit")
            await device.run("send", {"text": "LOOP 2:PGA 11.5"})
            await becomes(device, "p_gain_2", 11.5)
            assert await device.run("query", {"text": "SYST:HWR?"}) == "12A4"
            with pytest.raises(BadValueError, match="not one line"):
                await device.run("send", {"text": "STOP\nCONT"})
            assert "STOP" not in lines(simulator)

    asyncio.run(main())


def test_every_result_is_json_that_any_client_reads() -> None:
    async def main() -> None:
        async with bench() as (_, device):
            for name in ("read_network", "list_pid_tables", "list_configurations"):
                assert json.loads(json.dumps(await device.run(name), allow_nan=False))
            described = json.loads(device.interface.to_json())
            docs = {item["name"]: item["doc"] for item in described["attributes"] + described["commands"]}
            assert all(docs.values()), [name for name, doc in docs.items() if not doc]
            assert not [doc for doc in docs.values() if "{" in doc]
            limits = [item["limits"] for item in described["attributes"] if item["limits"]]
            assert all(math.isfinite(bound) for pair in limits for bound in pair)

    asyncio.run(main())
