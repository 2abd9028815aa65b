"""Plans of the run engine on the demo, over PVAccess and Tango: documents, aborts, operations of every instrument."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tango

from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import wait_for
from tests.support.demo_facility import Facility

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
pytest.importorskip("bluesky", reason="bluesky is not installed")
pytest.importorskip("ophyd_async", reason="ophyd-async is not installed")

DEVICES = ("cryo/cryocon/1", "saxs/detector/1", "ccd/1/exposure", "daq/node/1", "dcss/loop/1")
READ = "q,intensity,q_peak,exposure_time_actual,recording,loop_class,operation_result"
kept: dict[str, Any] = {}  # in the client's process


def _begin(folder: str, name: str) -> None:
    """Import the generated file, connect its devices, and check every document by event-model's schema."""
    from bluesky import RunEngine
    from event_model import DocumentNames, schema_validators
    from ophyd_async.core import init_devices

    sys.path.insert(0, folder)
    module = importlib.import_module(name)
    engine = RunEngine()
    with init_devices(timeout=40.0):  # which looks for devices among the variables here
        cryo1, saxs1, ccd1 = module.Cryo1(), module.Saxs1(), module.Ccd1()
        daq1, loop1 = module.Daq1(), module.Loop1()
    documents: list[tuple[str, Any]] = []

    def heard(name: str, document: Any) -> None:
        schema_validators[DocumentNames[name]].validate(document)
        documents.append((name, document))

    engine.subscribe(heard)
    kept.update(cryo1=cryo1, saxs1=saxs1, ccd1=ccd1, daq1=daq1, loop1=loop1, engine=engine, documents=documents)


def _documents() -> list[tuple[str, Any]]:
    return [(name, document) for name, document in kept["documents"] if name != "descriptor"]


def _scan(span: float, points: int) -> list[tuple[str, Any]]:
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp

    def plan() -> Any:
        yield from bps.trigger(kept["cryo1"].control_on, wait=True)
        start = yield from bps.rd(kept["cryo1"].temperature.readback)
        yield from bp.scan([kept["saxs1"]], kept["cryo1"].temperature, start, start + span, points)

    kept["documents"].clear()
    kept["engine"](plan())
    return _documents()


def _interrupted(plan: Any, seconds: float) -> str:
    """Ctrl-C twice after some seconds, and abort; how the run ended."""
    from bluesky.utils import RunEngineInterrupted

    engine = kept["engine"]
    kept["documents"].clear()
    threading.Timer(seconds, lambda: engine.request_pause(defer=False)).start()
    try:
        engine(plan)
    except RunEngineInterrupted:
        engine.abort("enough")
    return str(kept["documents"][-1][1]["exit_status"])


def _abort_move(kelvin: float) -> str:
    import bluesky.plans as bp

    return _interrupted(bp.list_scan([], kept["cryo1"].temperature, [kelvin]), 2.0)


def _abort_exposure(seconds: float) -> str:
    import bluesky.plans as bp

    kept["ccd1"].expose_arguments = {"seconds": seconds, "image_type": "dark", "title": ""}
    return _interrupted(bp.count([kept["ccd1"]]), 3.0)


def _expose(count: int) -> list[tuple[str, Any]]:
    import bluesky.plans as bp

    kept["ccd1"].expose_arguments = {"seconds": 0.1, "image_type": "dark", "title": "dark"}
    kept["documents"].clear()
    kept["engine"](bp.count([kept["ccd1"]], num=count))
    return _documents()


def _operation(device: str, operation: str, arguments: Any) -> Any:
    """Run an operation in a plan, then read the device's operation_result."""
    import bluesky.plan_stubs as bps

    def plan() -> Any:
        yield from bps.abs_set(getattr(kept[device], operation), arguments, wait=True)
        return (yield from bps.rd(kept[device].operation_result))

    values: list[Any] = []

    def keep() -> Any:
        values.append((yield from plan()))

    kept["engine"](keep())
    return json.loads(values[0]) if values[0] else None


@pytest.fixture(scope="module", params=["pva", "tango"])
def via(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def client(facility: Facility, via: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientProcess]:
    folder = tmp_path_factory.mktemp("plans")
    move = ("--move", "temperature=setpoint_1,temperature_a,1.0,0.5")
    made = facility.run("diptych", "describe", *DEVICES, "--ophyd-async", "--via", via, *move, "--read", READ,
                        "--trigger", "images_processed")  # fmt: skip
    assert made.returncode == 0, made.stderr
    camera = facility.run("diptych", "describe", "ccd/1/exposure", "--ophyd-async", "--via", via, "--trigger", "expose",
                          "--writes", "last_filename", "--read", "exposure_time_actual")  # fmt: skip
    assert camera.returncode == 0, camera.stderr
    (folder / f"made_{via}.py").write_text(made.stdout)
    (folder / f"camera_{via}.py").write_text(camera.stdout)
    with (folder / f"made_{via}.py").open("a") as file:  # a camera is triggered by other means than a detector
        file.write(f"\nfrom camera_{via} import Ccd1  # noqa\n")
    process = ClientProcess(facility.environment)
    process(_begin, str(folder), f"made_{via}", seconds=90.0)
    yield process
    process.close()


def device(facility: Facility, name: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://{facility.environment['TANGO_HOST']}/{name}")


def test_a_temperature_ramp_has_the_curves_in_its_documents(client: ClientProcess) -> None:
    documents = client(_scan, 1.0, 2, seconds=150.0)
    assert [name for name, _ in documents] == ["start", "event", "event", "stop"]
    events = [document["data"] for name, document in documents if name == "event"]
    assert events[1]["cryo1-temperature-setpoint"] - events[0]["cryo1-temperature-setpoint"] == pytest.approx(1.0)
    for data in events:
        assert data["cryo1-temperature"] == pytest.approx(data["cryo1-temperature-setpoint"], abs=1.5)
        assert data["saxs1-q"].shape == data["saxs1-intensity"].shape
        assert 1.0 < data["saxs1-q_peak"] < 1.15


def test_exposures_name_their_files_in_asset_documents(client: ClientProcess) -> None:
    documents = client(_expose, 2, seconds=60.0)
    assert [name for name, _ in documents] == ["start", *2 * ["resource", "datum", "event"], "stop"]
    files = [Path(each["root"], each["resource_path"]) for name, each in documents if name == "resource"]
    assert len(set(files)) == 2 and all(file.is_file() for file in files)
    data = [each["datum_id"] for name, each in documents if name == "datum"]
    assert [each["data"]["ccd1-file"] for name, each in documents if name == "event"] == data


def test_an_abort_has_the_cryostat_hold_where_it_is(facility: Facility, client: ClientProcess) -> None:
    cryo = device(facility, "cryo/cryocon/1")
    assert client(_abort_move, 250.0, seconds=60.0) == "abort"
    wait_for(lambda: cryo.setpoint_1 == pytest.approx(cryo.temperature_a, abs=5.0), 5.0, "the set point is held")


def test_an_abort_ends_the_exposure_that_a_trigger_runs(facility: Facility, client: ClientProcess) -> None:
    ccd = device(facility, "ccd/1/exposure")
    assert client(_abort_exposure, 120.0, seconds=60.0) == "abort"
    wait_for(
        lambda: not ccd.read_attribute("operation").value and ccd.read_attribute("exposure_state").value == 0,
        10.0,
        "the camera is idle",
    )


def test_operations_of_the_other_instruments_run_in_plans(client: ClientProcess) -> None:
    found = client(_operation, "loop1", "collect_", {"frames": 3, "seconds": 5.0}, seconds=60.0)
    assert found["rows"] == 3  # one for each picture
    client(_operation, "daq1", "calibrate_pedestal", 1.0, seconds=60.0)
    with pytest.raises(ClientError, match=r"RangeError|seconds"):
        client(_operation, "daq1", "calibrate_pedestal", -1.0, seconds=60.0)
