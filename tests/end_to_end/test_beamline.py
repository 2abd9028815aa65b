"""The beamline as `diptych up` runs it: a client of DCSS begins collections, and ends one in the middle."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tango

from tests.end_to_end.test_sequencer_clients import snippet
from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.serving import ROOT, wait_until

pytestmark = pytest.mark.timeout(600)
CLIENTS = 14243  # the port of DCSS for clients


@pytest.fixture(scope="module")
def beamline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    state_dir = tmp_path_factory.mktemp("beamline") / "state"
    running = started(state_dir, free_offset(), file=ROOT / "dbconfig" / "beamline.json")
    yield running
    stopped(running)


def proxies(facility: Facility) -> Callable[[str], Any]:
    return lambda name: tango.DeviceProxy(f"tango://{facility.environment['TANGO_HOST']}/{name}")


def ready(facility: Facility) -> Callable[[str], Any]:
    device = proxies(facility)
    client, loop = device("dcss/client/1"), device("dcss/loop/1")

    def is_served() -> bool:
        return client.state() == tango.DevState.ON and not client.offline

    wait_until(is_served, 60.0, "DCSS has its hardware servers")
    wait_until(lambda: loop.found, 60.0, "the loop detector looks at the sample")
    return device


@pytest.mark.long
def test_a_client_of_dcss_collects_as_the_snippet_does_and_is_told_why_not(beamline: Facility, tmp_path: Path) -> None:
    device = ready(beamline)
    text = snippet("DCSS")
    assert str(CLIENTS) in text
    (tmp_path / "collect.py").write_text(text.replace(str(CLIENTS), str(CLIENTS + beamline.offset)))
    words = [sys.executable, "collect.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = re.search(r"^normal (TEMPERATURE .*)$", done.stdout, re.MULTILINE)
    assert result, done.stdout
    figures = result[1].split()
    found = dict(zip(figures[::2], map(float, figures[1::2]), strict=True))
    assert found["TEMPERATURE"] == pytest.approx(40.0, abs=0.5)
    assert found["IMAGES"] == 3 and 1.05 < found["Q_PEAK"] < 1.10  # silver behenate: 2 pi / 5.838 nm
    assert found["TIP_X"] == pytest.approx(0.5, abs=0.02) and found["TIP_Y"] == pytest.approx(0.5, abs=0.02)
    assert "images 100" in done.stdout
    assert "refused: sw_limit" in done.stdout
    cryo, client = device("cryo/cryocon/1"), device("dcss/client/1")
    wait_until(lambda: not cryo.control and not client.open_shutter, 20.0, "heaters are off, the shutter is closed")
    assert cryo.setpoint_1 != 40.0


@pytest.mark.long
def test_an_abort_among_the_images_leaves_all_safe(beamline: Facility) -> None:
    device = ready(beamline)
    client, saxs, cryo = (device(name) for name in ("dcss/client/1", "saxs/detector/1", "cryo/cryocon/1"))
    client.become_active(True)
    wait_until(lambda: client.is_active, 20.0, "it is the active client")
    cryo.control_on()
    wait_until(lambda: " CONTROL 1" in client.text_cryo_status, 20.0, "DCSS knows that the heaters are on")
    run = client.start_operation(json.dumps({"name": "collectSaxs", "arguments": "30 500 300"}))
    wait_until(lambda: client.open_shutter and saxs.operation == "series", 200.0, "images are taken")
    client.abort_all(False)
    wait_until(lambda: json.loads(client.operation_status(run))["state"] == "FAILED", 60.0, "the collection has ended")
    assert "collectSaxs: aborted" in json.loads(client.operation_status(run))["error"]
    wait_until(lambda: saxs.operation == "" and not client.open_shutter, 30.0, "no image is waited for")
    moving = [name for name in ("gonio_phi", "sample_x", "sample_y", "sample_z", "cryo_target") if moves(client, name)]
    assert moving == []
    assert cryo.control and cryo.setpoint_1 == 30.0  # held where it was
    taken = saxs.images_processed
    time.sleep(2.0)  # four images would have come
    assert saxs.images_processed <= taken + 1


def moves(client: Any, motor: str) -> bool:
    return bool(client.read_attribute(f"moving_{motor}").value)
