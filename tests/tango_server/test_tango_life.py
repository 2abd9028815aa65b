"""The life of a server: properties, memorized values, Init, several devices, a clean end."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import tango

from tests.support.serving import serving, wait_until

EVERYTHING = "tests.support.everything:Everything"


def test_wrong_properties_are_all_reported_and_the_device_is_in_fault(tmp_path: Path) -> None:
    wrong = {"channels": "many", "period": "0", "chanels": "1"}
    with serving(EVERYTHING, "test/everything/1", wrong, folder=tmp_path) as server:
        proxy = server.proxy()
        assert proxy.state() == tango.DevState.FAULT
        text = proxy.status()
        assert "channels = 'many': not a whole number" in text
        assert "period = '0': outside [0.001, 60.0]" in text
        assert "unknown property chanels (did you mean channels?)" in text


def test_properties_decide_which_parts_there_are(tmp_path: Path) -> None:
    with serving(EVERYTHING, "test/everything/1", {"channels": 3}, folder=tmp_path) as server:
        names = set(server.proxy().get_attribute_list())
        assert {"level_a", "level_b", "level_c"} <= names
        assert "level_d" not in names


def test_memorized_values_are_shown_applied_or_restored_after_a_restart(tmp_path: Path) -> None:
    with serving(EVERYTHING, "test/everything/1", folder=tmp_path) as server:
        proxy = server.proxy()
        proxy.write_attribute("temperature", 91.5)  # "show": the hardware keeps its own
        proxy.write_attribute("position", -6.0)  # "apply"
        proxy.write_attribute("gain", 4.0)  # a setting of the device itself
    with serving(EVERYTHING, "test/everything/1", folder=tmp_path) as server:
        proxy = server.proxy()
        wait_until(lambda: proxy.read_attribute("position").value == -3.0, 5.0, "position is applied")
        wait_until(lambda: "memorized: temperature = 91.5" in proxy.status(), 5.0, "temperature is offered")
        assert proxy.read_attribute("temperature").value == 100.0, "a restart never moves what is only shown"
        assert proxy.read_attribute("gain").value == proxy.read_attribute("gain").w_value == 4.0
        assert json.loads(proxy.memorized())["temperature"] == 91.5
        proxy.apply_memorized("temperature")
        assert proxy.read_attribute("temperature").value == 91.5
        assert "memorized" not in proxy.status()


def test_init_connects_again_and_never_writes_to_the_hardware(tmp_path: Path) -> None:
    with serving(EVERYTHING, "test/everything/1", folder=tmp_path) as server:
        proxy = server.proxy()
        proxy.write_attribute("temperature", 85.0)
        proxy.write_attribute("position", -6.0)  # memorized to be applied, but not by Init
        operation_id = proxy.expose(60.0)
        proxy.Init()
        wait_until(lambda: proxy.read_attribute("temperature").value == 100.0, 5.0, "the new life begins as the first")
        wait_until(lambda: "memorized: position = -6.0" in proxy.status(), 5.0, "it is offered")
        read = proxy.read_attribute("position")
        assert (read.value, read.w_value) == (1.5, 3.0), "what the hardware says at connect"
        with pytest.raises(tango.DevFailed):
            proxy.operation_status(operation_id)
        config = proxy.get_attribute_config("temperature")
        config.alarms.max_alarm = "99"
        proxy.set_attribute_config(config)
        wait_until(lambda: proxy.state() == tango.DevState.ALARM, 10.0, "limits are still adopted after Init")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with serving(EVERYTHING, "test/everything/1", folder=tmp_path) as server:
        server.proxy().expose(60.0)
        server.process.send_signal(number)
        assert server.process.wait(10.0) == 0
        log = server.log.read_text()
        assert "Traceback" not in log
        assert "Segmentation" not in log


def test_many_reconnecting_clients_leave_the_server_alive(tmp_path: Path) -> None:
    with serving(EVERYTHING, "test/everything/1", folder=tmp_path) as server:
        for _ in range(20):
            proxy = server.proxy()
            numbers = [
                proxy.subscribe_event(name, tango.EventType.CHANGE_EVENT, lambda event: None)
                for name in ("fast", "a_string", "frame", "State")
            ]
            for number in numbers:
                proxy.unsubscribe_event(number)
        assert server.proxy().state() == tango.DevState.ON


def test_what_a_device_logs_goes_to_tango_logging_too(tmp_path: Path) -> None:
    target = tmp_path / "tango.log"
    with serving(EVERYTHING, "test/everything/1", folder=tmp_path / "server") as server:
        proxy = server.proxy()
        proxy.add_logging_target(f"file::{target}")
        proxy.set_logging_level(5)
        proxy.complain("100 % of the shutter is stuck")
        wait_until(lambda: target.exists() and "100 % of the shutter is stuck" in target.read_text(), 5.0)
        assert "100 % of the shutter is stuck" in server.log.read_text()


def test_a_command_named_like_a_member_of_tango_s_device_is_a_clear_fault(tmp_path: Path) -> None:
    with serving("tests.support.clash:Clash", "test/clash/1", folder=tmp_path) as server:
        assert server.proxy().state() == tango.DevState.FAULT
        assert "command get_name: Tango's device has a member of that name" in server.proxy().status()
