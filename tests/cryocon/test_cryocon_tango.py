"""The CryoCon device as a plain Tango client sees it, beside the feature list of the PyPI package's own server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tango

from tests.cryocon.cryocon_bench import InAThread
from tests.support.serving import Server, serving, wait_until

CRYOCON = "devices.cryocon:CryoCon"
QUICK = {"period": "0.1", "settings_period": "1", "spacing": "0"}

#: What the Tango server of the ``cryocon`` package on PyPI offers, and where it is here; ``#`` is a loop's number.
ATTRIBUTES = {
    "idn": "identity",
    "channelA": "temperature_a", "channelB": "temperature_b", "channelC": "temperature_c", "channelD": "temperature_d",
    "loop#output": "output_power_#", "loop#range": "range_#", "loop#rate": "rate_#", "loop#ramp": "ramping_#",
    "loop#type": "type_#", "loop#setpoint": "setpoint_#",
    "loop#pgain": "p_gain_#", "loop#igain": "i_gain_#", "loop#dgain": "d_gain_#",
}  # fmt: skip
COMMANDS = {"on": "control_on", "off": "control_off", "run": "query", "setchannelunit": "units_a"}
PROPERTIES = {
    "url": "link", "baudrate": "link", "bytesize": "link", "parity": "link",
    "UsedChannels": "used_inputs", "UsedLoops": "used_loops", "ReadValidityPeriod": "period",
    "AutoLockFrontPanel": "init_commands",
}  # fmt: skip


@pytest.fixture(scope="module")
def simulator() -> Iterator[InAThread]:
    with InAThread(speed=5.0) as running:
        yield running


@pytest.fixture(scope="module")
def server(simulator: InAThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    properties = {**QUICK, "link": simulator.simulator.url, "description": "Dewar 7"}
    with serving(CRYOCON, "cryo/test/1", properties, folder=tmp_path_factory.mktemp("server")) as running:
        wait_until(lambda: running.proxy().state() == tango.DevState.STANDBY, 10.0, "the first contact")
        wait_until(lambda: running.proxy().read_attribute("relay_low_2").value is not None, 10.0, "settings are read")
        yield running


@pytest.fixture
def proxy(server: Server) -> tango.DeviceProxy:
    return server.proxy()


def settings_of(simulator: InAThread) -> Any:
    return simulator.simulator.instrument.settings


def unit(proxy: tango.DeviceProxy, name: str) -> str:
    return str(proxy.get_attribute_config(name).unit)


def failure(error: pytest.ExceptionInfo[tango.DevFailed]) -> tuple[str, str]:
    return error.value.args[0].reason, error.value.args[0].desc


def offered_by_the_package() -> tuple[set[str], set[str], set[str]]:
    """Attributes, commands and properties of the package's Tango server; loops' numbers as #."""
    import cryocon.tango.server.cryocon as theirs

    source = Path(theirs.__file__).read_text(encoding="utf-8")
    attributes = {re.sub(r"\d", "#", name) for name in re.findall(r"= attr\(name='(\w+)'", source)}
    commands = set(re.findall(r"@command[^\n]*\n\s+(?:async )?def (\w+)\(", source))
    return attributes, commands, set(re.findall(r"(\w+) = device_property\(", source))


def test_everything_that_the_package_s_server_offers_exists_here(proxy: tango.DeviceProxy) -> None:
    attributes, commands, properties = offered_by_the_package()
    assert attributes == set(ATTRIBUTES)
    assert commands == set(COMMANDS)
    assert properties == set(PROPERTIES)
    ours = set(proxy.get_attribute_list())
    for theirs, mine in ATTRIBUTES.items():
        numbers = "1234" if "#" in theirs else "1"
        assert {mine.replace("#", number) for number in numbers} <= ours, theirs
    assert set(COMMANDS.values()) <= ours | {info.cmd_name for info in proxy.command_list_query()}
    from devices.cryocon.properties import CryoConProperties

    assert set(PROPERTIES.values()) <= set(CryoConProperties.__dataclass_fields__)
    labels = [proxy.get_attribute_config(f"setpoint_{number}").label for number in (1, 2, 3, 4)]
    assert len(set(labels)) == 4, "each set point has a label of its own"


def test_a_client_reads_what_the_instrument_holds(proxy: tango.DeviceProxy, simulator: InAThread) -> None:
    assert proxy.read_attribute("description").value == "Dewar 7"
    assert proxy.read_attribute("identity").value == "Cryo-con 24C, serial 204683, firmware 3.30A"
    reading = proxy.read_attribute("temperature_d")
    assert reading.value == pytest.approx(290.0, abs=0.5)
    assert reading.quality == tango.AttrQuality.ATTR_VALID
    assert abs(reading.time.totime() - time.time()) < 2.0
    assert unit(proxy, "temperature_d") == "K"
    config = proxy.get_attribute_config("range_3")
    assert list(config.enum_labels) == ["10V", "5V"]
    assert config.enum_labels[proxy.read_attribute("range_3").value] == settings_of(simulator).loops[3].range
    assert proxy.read_attribute("bias_voltage_a").quality == tango.AttrQuality.ATTR_INVALID
    assert proxy.get_attribute_config("max_power_1").disp_level == tango.DispLevel.EXPERT


def test_a_setpoint_is_put_and_a_front_panel_moves_it(proxy: tango.DeviceProxy, simulator: InAThread) -> None:
    proxy.write_attribute("setpoint_2", 77.5)
    assert settings_of(simulator).loops[2].setpoint == 77.5
    reading = proxy.read_attribute("setpoint_2")
    assert (reading.value, reading.w_value) == (77.5, 77.5)
    settings_of(simulator).loops[2].setpoint = 66.25

    def moved() -> bool:
        now = proxy.read_attribute("setpoint_2")
        return bool(now.value == now.w_value == 66.25)

    wait_until(moved, 5.0, "both follow the front panel")


def test_a_refusal_keeps_its_class_and_names_the_command(proxy: tango.DeviceProxy, simulator: InAThread) -> None:
    with pytest.raises(tango.DevFailed) as error:
        proxy.write_attribute("setpoint_1", 1000.0)
    reason, text = failure(error)
    assert (reason, text) == ("RangeError", "setpoint_1 = 1000.0 K is above max_setpoint_1 = 400.0 K")
    with pytest.raises(tango.DevFailed) as error:
        proxy.send("LOOP 7:SETP 80")
    reason, text = failure(error)
    assert reason == "RefusedError"
    assert "LOOP 7:SETP 80 was refused (NACK)" in text
    assert settings_of(simulator).loops[1].setpoint == 80.0


def test_a_unit_reaches_the_client_with_its_values(proxy: tango.DeviceProxy, simulator: InAThread) -> None:
    labels = list(proxy.get_attribute_config("units_d").enum_labels)
    proxy.write_attribute("units_d", labels.index("C"))
    assert settings_of(simulator).inputs["D"].units == "C"
    wait_until(lambda: unit(proxy, "temperature_d") == "degC", 5.0, "the unit")
    wait_until(lambda: proxy.read_attribute("temperature_d").value < 30.0, 5.0, "the value")
    assert proxy.read_attribute("temperature_d").value == pytest.approx(290.0 - 273.15, abs=0.5)
    assert (unit(proxy, "alarm_low_d"), unit(proxy, "slope_d"), unit(proxy, "alarm_low_a")) == ("degC", "degC/min", "K")
    assert proxy.read_attribute("alarm_low_d").value == pytest.approx(1.0 - 273.15)
    proxy.write_attribute("units_d", labels.index("K"))
    wait_until(lambda: unit(proxy, "temperature_d") == "K", 5.0, "back")


def test_faults_and_alarms_are_qualities_and_states(proxy: tango.DeviceProxy, simulator: InAThread) -> None:
    events: list[tango.AttrQuality] = []
    number = proxy.subscribe_event(
        "temperature_b",
        tango.EventType.CHANGE_EVENT,
        lambda event: None if event.err else events.append(event.attr_value.quality),
    )
    # The first events may come before the subscription is complete; the noise of the sensor gives one with each poll.
    wait_until(lambda: len(events) > 2, 5.0, "events")
    simulator.do(simulator.simulator.open_sensor, "B")
    wait_until(lambda: tango.AttrQuality.ATTR_INVALID in events, 5.0, "the event")
    assert proxy.read_attribute("temperature_b").value is None
    simulator.do(simulator.simulator.open_sensor, "B", False)
    wait_until(lambda: events[-1] == tango.AttrQuality.ATTR_VALID, 5.0, "the event of its end")
    proxy.unsubscribe_event(number)

    proxy.write_attribute("alarm_high_b", 20.0)
    proxy.write_attribute("alarm_latched_b", True)
    proxy.write_attribute("alarm_high_enabled_b", True)
    wait_until(lambda: proxy.state() == tango.DevState.ALARM, 5.0, "ALARM")
    assert proxy.read_attribute("temperature_b").quality == tango.AttrQuality.ATTR_ALARM
    assert "alarm_state_b = HI" in proxy.status()
    proxy.write_attribute("alarm_high_b", 325.0)
    proxy.clear_alarm_b()
    wait_until(lambda: proxy.state() == tango.DevState.STANDBY, 5.0, "no alarm")


def test_tuning_over_tango(proxy: tango.DeviceProxy, simulator: InAThread) -> None:
    run = proxy.auto_tune(json.dumps({"loop": 1}))
    wait_until(lambda: json.loads(proxy.operation_status(run))["state"] == "FAILED", 5.0, "the refusal")
    assert "NotAllowedError: auto_tune needs the loops in control" in json.loads(proxy.operation_status(run))["error"]
    proxy.control_on()
    assert proxy.state() == tango.DevState.ON
    try:
        simulator.simulator.speed = 300.0
        run = proxy.auto_tune(json.dumps({"loop": 1, "mode": "PI", "delta_power": 10.0, "timeout": 900.0}))
        assert proxy.state() == tango.DevState.RUNNING
        wait_until(lambda: json.loads(proxy.operation_status(run))["state"] == "DONE", 10.0, "the end")
        result = json.loads(proxy.read_attribute("operation_result").value)
        assert settings_of(simulator).loops[1].p_gain == pytest.approx(result["p_gain"], rel=1e-3)
    finally:
        simulator.simulator.speed = 5.0
        proxy.control_off()
    assert proxy.state() == tango.DevState.STANDBY


def test_results_and_blocks_over_tango(proxy: tango.DeviceProxy) -> None:
    assert json.loads(proxy.read_network())["port"] == 5000
    assert json.loads(proxy.list_pid_tables())["6"]["name"] == "PID Table 6"
    lines = "Ladder\n300 1.5 160 0 HI Default\n77.5 5 60.25 2 MID ChB"
    run = proxy.write_pid_table(json.dumps({"number": 3, "lines": lines}))
    wait_until(lambda: json.loads(proxy.operation_status(run))["state"] == "DONE", 5.0, "written")
    run = proxy.read_pid_table(3)
    wait_until(lambda: json.loads(proxy.operation_status(run))["state"] == "DONE", 5.0, "read")
    assert json.loads(proxy.operation_status(run))["result"]["lines"] == lines.splitlines()


def test_a_server_may_start_before_the_instrument_and_survive_it(tmp_path: Path) -> None:
    with InAThread("22C") as first:
        port = first.simulator.port
    properties = {**QUICK, "link": f"tcp://127.0.0.1:{port}", "model": "22C", "init_commands": "loop 1:setpt 55.5"}
    with serving(CRYOCON, "cryo/test/2", properties, folder=tmp_path) as server:
        proxy = server.proxy()
        wait_until(lambda: proxy.state() == tango.DevState.FAULT, 10.0, "nobody is there")
        assert "connection refused" in proxy.status()
        with InAThread("22C", port=port) as second:
            wait_until(lambda: proxy.state() == tango.DevState.STANDBY, 15.0, "it comes")
            assert proxy.read_attribute("setpoint_1").value == 55.5
            proxy.write_attribute("setpoint_1", 60.0)
            proxy.Init()
            wait_until(lambda: proxy.state() == tango.DevState.STANDBY, 15.0, "after Init")
            wait_until(lambda: proxy.read_attribute("setpoint_1").value == 60.0, 5.0, "Init wrote nothing")
            assert [line for _, line in second.simulator.messages].count("loop 1:setpt 55.5;:*OPC?") == 1
        wait_until(lambda: proxy.state() == tango.DevState.FAULT, 10.0, "it goes")
        assert proxy.read_attribute("temperature_a").quality == tango.AttrQuality.ATTR_INVALID
    with InAThread("22C", port=port) as third, serving(CRYOCON, "cryo/test/2", properties, folder=tmp_path) as server:
        # The new process sends its init commands; what was memorized before is offered, not written.
        proxy = server.proxy()
        wait_until(lambda: "memorized: setpoint_1 = 60.0" in proxy.status(), 10.0, "the offer")
        assert settings_of(third).loops[1].setpoint == 55.5
        proxy.apply_memorized("setpoint_1")
        assert settings_of(third).loops[1].setpoint == 60.0
