"""Device files for sequencers, made from the demo's facility file: nothing runs."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.facility.running import command
from tests.support.serving import ROOT

MOVE = ("--move", "temperature=setpoint_1,temperature_a,0.5,2")
DEMO = ("--from-file", ROOT / "dbconfig" / "demo.json")


def made(folder: Path, *words: object) -> ModuleType:
    """The module that ``diptych describe`` makes, imported."""
    done = command("describe", *words, *DEMO, "--state-dir", folder / "state")
    assert done.returncode == 0, done.stderr
    path = folder / "made.py"
    path.write_text(done.stdout)
    spec = importlib.util.spec_from_file_location("made", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["made"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("via", ["ca", "pva", "tango"])
def test_an_ophyd_async_file_has_typed_signals_a_move_and_a_trigger(tmp_path: Path, via: str) -> None:
    pytest.importorskip("ophyd_async", reason="ophyd-async is not installed")
    wanted = ("--read", "temperature_a,rate_1", "--config", "source_1", "--trigger", "auto_tune")
    module = made(tmp_path, "cryo/cryocon/1", "--ophyd-async", "--via", via, *MOVE, *wanted)
    cryo = module.Cryo1()
    assert cryo.name == "cryo1"
    assert (cryo.temperature.tolerance, cryo.temperature.settle) == (0.5, 2.0)
    assert cryo.temperature.readback.name == "cryo1-temperature"  # a move is read as its device
    assert cryo.temperature_a.datatype is float
    assert [label.value for label in cryo.source_1.datatype][:3] == ["A", "B", "C"]
    assert "# 0 to 1000 K/min" in Path(module.__file__ or "").read_text()
    if via != "tango":  # there signals get their addresses when they connect
        assert cryo.temperature_a.source == f"{via}://CRYO1:TemperatureA"
    assert callable(cryo.trigger) and cryo.auto_tune_arguments is None


def test_a_trigger_of_several_readings_reads_them_all(tmp_path: Path) -> None:
    pytest.importorskip("ophyd_async", reason="ophyd-async is not installed")
    wanted = ("--trigger", "images_processed,q,intensity", "--read", "q_peak")
    module = made(tmp_path, "cryo/cryocon/1", "saxs/detector/1", "--ophyd-async", *wanted)
    saxs = module.Saxs1()
    assert saxs._awaited == (saxs.images_processed, saxs.q, saxs.intensity)
    text = Path(module.__file__ or "").read_text()
    for segment in ("Q", "Intensity", "QPeak", "ImagesProcessed"):  # all are in every event
        assert re.search(rf'PvSuffix\("{segment}"\), Format\.(HINTED_)?UNCACHED_SIGNAL', text), segment
    assert not hasattr(module.Cryo1(), "trigger"), "it has none of them"


def test_an_ophyd_file_has_limits_and_a_positioner(tmp_path: Path) -> None:
    pytest.importorskip("ophyd", reason="ophyd is not installed")
    module = made(tmp_path, "cryo/cryocon/1", "ccd/1/exposure", "--ophyd", *MOVE, "--trigger", "expose")
    assert module.Cryo1.temperature.kwargs["atol"] == 0.5
    assert module.Cryo1.temperature.kwargs["settle_time"] == 2.0
    assert module.Cryo1Temperature.readback.suffix == "TemperatureA"
    assert module.Cryo1.rate_1.kwargs["limits"] is True
    assert module.Ccd1.expose_arguments == "{}"
    # What a run engine calls is not hidden by the camera's commands of the same name.
    assert module.Ccd1.pause_.suffix == "Pause"


def test_happi_entries_name_class_and_prefix(tmp_path: Path) -> None:
    done = command("describe", "cryo/cryocon/1", "ccd/1/tempcon", "--happi", "--module", "beamline", *DEMO)
    entries: dict[str, Any] = json.loads(done.stdout)
    assert entries["cryo1"]["device_class"] == "beamline.Cryo1"
    assert entries["ccd1_temp"]["prefix"] == "CCD1:TEMP:"
    happi = pytest.importorskip("happi", reason="happi is not installed")
    path = tmp_path / "happi.json"
    path.write_text(done.stdout)
    found = happi.Client(path=str(path)).search(name="cryo1")
    assert [result.item.prefix for result in found] == ["CRYO1:"]


def test_sardana_controllers_move_and_read_attributes(tmp_path: Path) -> None:
    done = command("describe", "cryo/cryocon/1", "--sardana", *MOVE, "--read", "temperature_b", *DEMO)
    assert "defelem cryo1_temperature cryo1_moves 1" in done.stdout
    assert "cryo1_temperature.Tolerance = 0.5" in done.stdout
    assert "cryo1_temperature_b.Attribute = 'temperature_b'" in done.stdout
    compile(done.stdout, "controllers.py", "exec")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("cryo/cryocon/1", "--ophyd-async", "--read", "temperatur_a"), "no attribute or operation temperatur_a"),
        (("cryo/cryocon/1", "--ophyd-async", "--move", "t=setpoint_1"), "is not NAME=SETPOINT,READBACK"),
        (("cryo/cryocon/1", "--ophyd", "--via", "tango"), "ophyd speaks Channel Access, not tango"),
        (("saxs/detector/1", "--ophyd", "--trigger", "q,intensity"), "triggers of several readings"),
        (("cryo/cryocon/7", "--ophyd"), "has no device cryo/cryocon/7"),
    ],
)
def test_what_cannot_be_made_is_one_clear_line(words: tuple[str, ...], reason: str) -> None:
    done = command("describe", *words, *DEMO)
    assert done.returncode == 1 and reason in done.stderr, done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
