"""saxsdogserver and saxsfeeder as processes, and a client that is not ours: from an image to its curve."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from devices.drivers.mask_file import encode_fit2d_mask
from devices.simulators.saxs import SilverBehenate, write_image
from servers.leash.endpoint import Endpoint
from servers.leash.network_file import NetworkEntry, write_network
from servers.leash.request import read_schema
from tests.leash import raw_client
from tests.leash.detector import SECRET
from tests.leash.test_leash_command_lines import Shell
from tests.support.serving import wait_until

FIRST_RING = 1.0763  # nm^-1, 2 pi / 58.38 Angstrom
TAKEN_S = 1795262400.25


@dataclass
class Beamline:
    url: str
    base: Path
    detector: SilverBehenate

    def ask(self, command: str, argument: Any = None, files: tuple[tuple[str, str], ...] = ()) -> Any:
        reply = raw_client.ask(self.url, SECRET, command, argument, files)
        jsonschema.validate(reply, read_schema("reply"))
        return reply

    def new(self, calibration: Any) -> Any:
        mask = encode_fit2d_mask(self.detector.mask).decode("latin-1")
        return self.ask("new", {"calibration": calibration, "data": {}}, (("AAA_integ.msk", mask),))

    def expose(self, name: str, after_s: float = 0.0) -> None:
        write_image(self.base / "img" / name, self.detector.expose(10.0), 10.0, TAKEN_S + after_s)

    def calibration(self) -> dict[str, Any]:
        found = json.loads(json.dumps(self.detector.calibration()))
        masks = [{**mask, "MaskFile": "AAA_integ.msk", "qStart": 0.9, "qStop": 1.25} for mask in found["Masks"]]
        return {**found, "Title": "img", "Directory": ["img"], "Masks": masks}


def free_endpoint() -> Endpoint:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return Endpoint("127.0.0.1", free.getsockname()[1])


@pytest.fixture
def beamline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beamline]:
    base = tmp_path / "base"
    (base / "img").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    entry = NetworkEntry(free_endpoint(), free_endpoint(), SECRET, "Queue1")
    write_network(tmp_path / ".saxsdognetwork", [entry])
    shell = Shell(tmp_path)
    # It does not watch its folder: images come from the feeder alone.
    processes = [shell.begin("server", "base", "--no-watch", "-t", "1"), shell.begin("feeder", str(base / "img"))]
    try:
        for process, text in zip(processes, ("serves saxs/Queue1/1", "a server listens"), strict=True):
            assert process.stderr is not None
            lines: list[str] = []
            while not lines or text not in lines[-1]:
                lines.append(process.stderr.readline())
                assert lines[-1], "".join(lines)  # it has ended
        yield Beamline(str(entry.server), base, SilverBehenate((103, 131), seed=7))
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            assert process.wait(20.0) == 0
    finally:
        for process in processes:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def peak(graph: dict[str, Any]) -> float:
    q, intensity, _ = (np.array(row) for row in graph["array"])
    return float(q[np.nanargmax(np.where(abs(q - FIRST_RING) < 0.3, intensity, np.nan))])


def test_from_an_image_to_its_curve_and_from_queue_to_queue(beamline: Beamline) -> None:
    assert beamline.ask("plot")["result"] == "no queue"
    calibration = beamline.calibration()
    assert beamline.new(calibration)["result"] == "new queue"
    assert beamline.ask("get")["data"]["cal"] == calibration
    assert beamline.ask("plot")["result"] == "Empty"

    beamline.expose("agbeh_00000.tif")
    wait_until(lambda: beamline.ask("stat")["data"]["stat"]["images processed"] == 1, 30.0, "the feeder announced it")
    data = beamline.ask("plot")["data"]
    (graph,) = data["graphs"]
    assert peak(graph) == pytest.approx(FIRST_RING, abs=0.03)
    assert graph["Image"] == str(beamline.base / "img" / "agbeh_00000.tif")
    parameters = graph["Integparam"]
    assert parameters["I1"] / parameters["I0"] == pytest.approx(FIRST_RING, abs=0.03), "the mean q of the first ring"
    assert data["filename"] == str(beamline.base / "work" / "agbeh_00000")

    beamline.expose("agbeh_00001.tif", 10.0)
    wait_until(lambda: beamline.ask("stat")["data"]["stat"]["images processed"] == 2, 30.0, "the next one")
    series = beamline.ask("plot")["data"]["IntegralParameters"]["R0"]
    assert series["file"] == ["agbeh_00000.tif", "agbeh_00001.tif"]
    assert series["I0"] == pytest.approx([parameters["I0"]] * 2, rel=0.1)
    (chi,) = {Path(path).name for path in beamline.ask("fileslist")["data"]["fileslist"]["Radial0"]} - {
        "agbeh_00001.chi"
    }
    assert chi == "agbeh_00000.chi"

    started = beamline.ask("stat")["data"]["stat"]["start time"]
    beamline.new(calibration)
    assert beamline.ask("plot")["result"] == "Empty", "the images were of another queue"
    assert beamline.ask("stat")["data"]["stat"]["start time"] > started
    beamline.ask("readdir")
    wait_until(lambda: beamline.ask("stat")["data"]["stat"]["images processed"] == 2, 30.0, "both once more")
    assert beamline.ask("abort")["data"] == {"stat": {}}
    assert beamline.ask("stat")["data"] == {"stat": {}}
    escape = beamline.new(calibration | {"Directory": ["..", "home"]})
    assert "Error" in escape["data"] and "outside" in escape["data"]["Error"]
    assert beamline.ask("listdir", {"directory": ["", "etc"]})["result"] == "OSError"
