"""Attributes as a plain Tango client sees them."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
import tango

from tests.support.everything import SCALARS, Filter
from tests.support.serving import wait_until


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_of_every_type_comes_back_as_it_was_written(proxy: tango.DeviceProxy, name: str) -> None:
    value = SCALARS[name][1]
    if isinstance(value, Filter):
        value = list(Filter).index(value)
    proxy.write_attribute(name, value)
    read = proxy.read_attribute(name)
    assert read.value == value
    assert read.w_value == value
    assert read.quality == tango.AttrQuality.ATTR_VALID


def test_an_enumeration_has_its_labels_in_the_order_of_the_class(proxy: tango.DeviceProxy) -> None:
    assert list(proxy.get_attribute_config("an_enum").enum_labels) == ["open", "red", "blue"]
    with pytest.raises(tango.DevFailed):
        proxy.write_attribute("an_enum", 3)


def test_a_frame_keeps_its_rows_and_columns(proxy: tango.DeviceProxy) -> None:
    frame = np.arange(15, dtype=np.uint16).reshape(3, 5)
    proxy.write_attribute("frame", frame)
    read = proxy.read_attribute("frame")
    assert (read.dim_y, read.dim_x) == (3, 5)
    np.testing.assert_array_equal(read.value, frame)
    config = proxy.get_attribute_config("frame")
    assert (config.max_dim_y, config.max_dim_x) == (40, 60)


def test_a_frame_that_is_too_high_is_refused_and_the_old_one_stays(proxy: tango.DeviceProxy) -> None:
    proxy.write_attribute("frame", np.ones((2, 7), np.uint16))
    with pytest.raises(tango.DevFailed):
        proxy.write_attribute("frame", np.zeros((41, 7), np.uint16))
    assert proxy.read_attribute("frame").value.shape == (2, 7)


def test_spectra_have_their_true_length(proxy: tango.DeviceProxy) -> None:
    proxy.write_attribute("numbers", [1.5, 0.0, -3.0])
    np.testing.assert_array_equal(proxy.read_attribute("numbers").value, [1.5, 0.0, -3.0])
    proxy.write_attribute("texts", ["one", "", "drei ä"])
    assert list(proxy.read_attribute("texts").value) == ["one", "", "drei ä"]


def test_unit_limits_and_bounds_stand_in_the_configuration(proxy: tango.DeviceProxy) -> None:
    config = proxy.get_attribute_config("temperature")
    assert config.unit == "K"
    assert (float(config.min_value), float(config.max_value)) == (0.0, 400.0)
    assert (float(config.alarms.min_alarm), float(config.alarms.max_alarm)) == (70.0, 120.0)
    assert (float(config.alarms.min_warning), float(config.alarms.max_warning)) == (80.0, 110.0)
    assert "register" in config.description
    assert proxy.get_attribute_config("a_float64").format == "%.1f"


def test_precision_never_rounds_data(proxy: tango.DeviceProxy) -> None:
    proxy.write_attribute("a_float64", 0.00314)
    assert proxy.read_attribute("a_float64").value == 0.00314


def test_the_hardware_s_time_stamp_and_quality_reach_the_client(proxy: tango.DeviceProxy) -> None:
    then = 1_600_000_000.25
    proxy.publish_value('{"name": "fast", "value": 7.5, "timestamp": 1600000000.25, "quality": "CHANGING"}')
    read = proxy.read_attribute("fast")
    assert read.time.totime() == pytest.approx(then, abs=1e-5)
    assert read.quality == tango.AttrQuality.ATTR_CHANGING
    assert read.value == 7.5


def test_an_invalid_reading_has_no_value(proxy: tango.DeviceProxy) -> None:
    proxy.publish_value('{"name": "fast", "value": 3.0}')
    proxy.make_invalid("fast")
    read = proxy.read_attribute("fast")
    assert read.quality == tango.AttrQuality.ATTR_INVALID
    assert read.value is None


def test_not_a_number_is_invalid(proxy: tango.DeviceProxy) -> None:
    proxy.publish_nan("fast")
    assert proxy.read_attribute("fast").quality == tango.AttrQuality.ATTR_INVALID


def test_at_connect_the_setpoint_is_the_hardware_s_own(proxy: tango.DeviceProxy) -> None:
    assert proxy.read_attribute("position").w_value == 3.0


def test_the_readback_may_differ_from_the_setpoint(proxy: tango.DeviceProxy) -> None:
    proxy.write_attribute("position", -4.0)
    read = proxy.read_attribute("position")
    assert (read.value, read.w_value) == (-2.0, -4.0)


def test_a_change_at_the_front_panel_moves_setpoint_and_readback(proxy: tango.DeviceProxy) -> None:
    proxy.turn_front_panel(95.0)

    def moved() -> bool:
        read = proxy.read_attribute("temperature")
        return bool(read.value == read.w_value == 95.0)

    wait_until(moved, 10.0, "the poll sees the front panel")


def test_a_value_outside_the_limits_is_refused_and_nothing_moves(proxy: tango.DeviceProxy) -> None:
    proxy.write_attribute("temperature", 90.0)
    for wrong in (400.1, -0.1, float("nan"), float("inf")):
        with pytest.raises(tango.DevFailed):
            proxy.write_attribute("temperature", wrong)
    read = proxy.read_attribute("temperature")
    assert (read.value, read.w_value) == (90.0, 90.0)


def test_a_part_has_attributes_and_commands_of_its_own(proxy: tango.DeviceProxy) -> None:
    proxy.write_attribute("offset_b", -0.25)
    assert proxy.read_attribute("offset_b").value == -0.25
    assert proxy.clear_b() == "b"
    assert "channel B" in proxy.get_attribute_config("level_b").description


def test_other_clients_are_served_while_a_long_command_runs(proxy: tango.DeviceProxy, server: Any) -> None:
    other = server.proxy()
    ended: list[float] = []

    def sleep() -> None:
        proxy.sleep(1.0)
        ended.append(time.monotonic())

    thread = threading.Thread(target=sleep)
    thread.start()
    reads = 0
    while not ended:
        began = time.monotonic()
        other.read_attribute("a_float64")
        other.write_attribute("a_bool", True)
        assert not ended or began < ended[0]
        reads += 1
    thread.join()
    assert reads > 50, "reads and puts go on while a command of 1 s runs"
