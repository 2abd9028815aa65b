"""Two judges of one value: cppTango by its limits, and the model. They must agree, or clients see two truths."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tango

from devices.core.alarm import judge
from tests.support.serving import ROOT, wait_for_server

PLAIN_SERVER = """
import sys
import numpy as np
import tango
from tango.server import Device, attribute, command, run

LIMITS = dict(min_alarm="-40", min_warning="-12.5", max_warning="7.25", max_alarm="30")
WHOLE = dict(min_alarm="-40", min_warning="-12", max_warning="7", max_alarm="30")


class Plain(Device):
    number, whole, curve = 0.0, 0, np.zeros(1)

    a_number = attribute(dtype=float, fget="read_number", **LIMITS)
    a_whole = attribute(dtype=int, fget="read_whole", **WHOLE)
    a_curve = attribute(dtype=(float,), max_dim_x=10, fget="read_curve", **LIMITS)

    def read_number(self):
        return self.number

    def read_whole(self):
        return self.whole

    def read_curve(self):
        return self.curve

    @command(dtype_in=float)
    def set_number(self, value):
        self.number = value

    @command(dtype_in=int)
    def set_whole(self, value):
        self.whole = value

    @command(dtype_in=(float,))
    def set_curve(self, values):
        self.curve = np.asarray(values)


ENDPOINT = f"giop:tcp:127.0.0.1:{sys.argv[1]}"
run((Plain,), args=["Plain", "1", "-nodb", "-dlist", "plain/plain/1", "-ORBendPoint", ENDPOINT])
"""
ALARM, WARNING = (-40.0, 30.0), (-12.5, 7.25)
NUMBERS = (
    0.0,
    7.24,
    7.25,
    7.26,
    29.99,
    30.0,
    31.0,
    -12.4,
    -12.5,
    -12.6,
    -39.9,
    -40.0,
    -41.0,
    1e300,
    -1e300,
    float("inf"),
)
WHOLE = (0, 6, 7, 8, 29, 30, 31, -11, -12, -13, -39, -40, -41, 2**53 + 1)
CURVES = (
    [0.0],
    [0.0, 7.25],
    [0.0, 7.2, -12.5],
    [30.0, 0.0],
    [-40.0, 30.0],
    [-12.4, 7.2],
    [1.0, float("nan")],
    [8.0, float("nan")],
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tango.DeviceProxy]:
    script: Path = tmp_path_factory.mktemp("plain") / "plain.py"
    script.write_text(PLAIN_SERVER)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = script.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-u", str(script), str(port)], cwd=ROOT, stdout=output)
    try:
        wait_for_server(process, log)
        yield tango.DeviceProxy(f"tango://127.0.0.1:{port}/plain/plain/1#dbase=no")
    finally:
        process.terminate()
        process.wait(10.0)


def of_tango(proxy: tango.DeviceProxy, name: str) -> str:
    return str(proxy.read_attribute(name).quality).removeprefix("ATTR_")


@pytest.mark.parametrize("value", NUMBERS)
def test_both_judges_agree_on_a_number(plain: tango.DeviceProxy, value: float) -> None:
    plain.set_number(value)
    assert judge(value, WARNING, ALARM).quality.value == of_tango(plain, "a_number")


@pytest.mark.parametrize("value", WHOLE)
def test_both_judges_agree_on_a_whole_number(plain: tango.DeviceProxy, value: int) -> None:
    plain.set_whole(value)
    assert judge(value, (-12.0, 7.0), ALARM).quality.value == of_tango(plain, "a_whole")


@pytest.mark.parametrize("values", CURVES)
def test_both_judges_agree_on_a_spectrum(plain: tango.DeviceProxy, values: list[float]) -> None:
    plain.set_curve(values)
    assert judge(np.array(values), WARNING, ALARM).quality.value == of_tango(plain, "a_curve")


def test_not_a_number_is_where_they_differ_and_the_model_is_the_judge(plain: tango.DeviceProxy) -> None:
    plain.set_number(float("nan"))
    assert of_tango(plain, "a_number") == "VALID", "if Tango has learnt it, the documentation may say so"
    assert judge(float("nan"), WARNING, ALARM).quality.value == "INVALID"
