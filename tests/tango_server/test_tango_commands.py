"""Commands and operations as a plain Tango client sees them."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import tango

from tests.support.serving import Server, wait_until


def test_each_number_of_arguments_has_its_own_form(proxy: tango.DeviceProxy) -> None:
    assert proxy.nothing() is None
    assert proxy.reverse("straße") == "eßarts"
    assert proxy.add('{"first": 3.5}') == 5.5
    assert proxy.add('{"first": 3.5, "second": -10}') == -6.5
    assert proxy.total([1.0, 2.0, 3.5]) == 6.5
    assert proxy.opposite("blue") == "red"
    assert json.loads(proxy.facts()) == {"answer": 42}


def test_the_type_of_the_argument_is_the_natural_one(proxy: tango.DeviceProxy) -> None:
    info = {each.cmd_name: each for each in proxy.command_list_query()}
    assert info["sleep"].in_type == tango.CmdArgType.DevDouble
    assert info["total"].in_type == tango.CmdArgType.DevVarDoubleArray
    assert info["nothing"].in_type == tango.CmdArgType.DevVoid
    assert info["add"].out_type == tango.CmdArgType.DevDouble
    assert info["fail"].disp_level == tango.DispLevel.EXPERT


@pytest.mark.parametrize(
    ("call", "argument", "reason", "text"),
    [
        ("add", "[1]", "BadValueError", "first"),
        ("add", '{"second": 1}', "BadValueError", "first is missing"),
        ("add", '{"first": 1, "third": 1}', "BadValueError", "unknown argument third"),
        ("add", '{"first": "x"}', "BadValueError", "first = 'x'"),
        ("opposite", "green", "RangeError", "open, red, blue"),
        ("turn_front_panel", 401.0, "RangeError", "kelvin = 401.0 K is outside [0.0, 400.0] K"),
        ("only_when_off", None, "NotAllowedError", "OFF"),
        ("fail", None, "ZeroDivisionError", "no such luck"),
        ("sleep", 60.0, "TimeoutError", "sleep did not end within 2.5 s"),
    ],
)
def test_an_error_keeps_its_class_and_its_text(
    proxy: tango.DeviceProxy, call: str, argument: object, reason: str, text: str
) -> None:
    with pytest.raises(tango.DevFailed) as raised:
        proxy.command_inout(call, argument)
    assert raised.value.args[0].reason == reason
    assert text in raised.value.args[0].desc


def status(proxy: tango.DeviceProxy, operation_id: str) -> dict[str, object]:
    found = json.loads(proxy.operation_status(operation_id))
    assert isinstance(found, dict)
    return found


def test_an_operation_gives_its_id_at_once_and_its_result_at_the_end(proxy: tango.DeviceProxy) -> None:
    began = time.monotonic()
    operation_id = proxy.expose(1.0)
    assert time.monotonic() - began < 0.9, "the id comes at once"
    assert proxy.state() == tango.DevState.RUNNING
    assert proxy.operation == "expose"
    with pytest.raises(tango.DevFailed) as raised:
        proxy.expose(1.0)
    assert raised.value.args[0].reason == "BusyError"
    assert operation_id in raised.value.args[0].desc
    wait_until(lambda: 20.0 < proxy.progress < 100.0, 10.0, "progress is seen")
    wait_until(lambda: status(proxy, operation_id)["state"] == "DONE", 10.0)
    assert status(proxy, operation_id)["result"] == {"seconds": 1.0}
    assert json.loads(proxy.operation_result) == {"seconds": 1.0}
    assert proxy.operation == ""
    assert proxy.progress == 100.0


def test_abort_does_not_wait_for_the_operation(proxy: tango.DeviceProxy, server: Server) -> None:
    operation_id = proxy.expose(60.0)
    server.proxy().abort("")
    wait_until(lambda: status(proxy, operation_id)["state"] == "ABORTED", 10.0)
    assert proxy.state() != tango.DevState.RUNNING


def test_an_unknown_operation_is_named(proxy: tango.DeviceProxy) -> None:
    with pytest.raises(tango.DevFailed) as raised:
        proxy.operation_status("expose-20200101T000000-00000000")
    assert raised.value.args[0].reason == "UnknownNameError"


def test_the_going_away_of_its_client_does_not_end_an_operation(server: Server) -> None:
    first = server.proxy()
    operation_id = first.expose(0.3)
    del first
    again = server.proxy()
    wait_until(lambda: status(again, operation_id)["state"] == "DONE", 10.0)


def test_a_pipeline_takes_its_frame_from_an_attribute_and_publishes_its_output(proxy: tango.DeviceProxy) -> None:
    frame = np.arange(6, dtype=np.uint16).reshape(2, 3)
    proxy.write_attribute("frame", frame)
    proxy.scale(2.5)
    np.testing.assert_allclose(proxy.read_attribute("scaled").value, frame * 2.5)
    assert 0.0 < proxy.scale_seconds < 2.5


def test_describe_tells_everything_a_client_can_do(proxy: tango.DeviceProxy) -> None:
    told = json.loads(proxy.describe())
    assert told["format"] == 1
    by_name = {each["name"]: each for each in told["attributes"]}
    assert by_name["temperature"]["alarm"] == [70.0, 120.0]
    assert by_name["frame"]["shape"] == [40, 60]
    listed = set(proxy.get_attribute_list()) - {"State", "Status"}
    assert listed == set(by_name)
    commands = {each["name"]: each for each in told["commands"]}
    assert commands["expose"]["kind"] == "operation"
    assert commands["expose"]["arguments"][0]["unit"] == "s"
