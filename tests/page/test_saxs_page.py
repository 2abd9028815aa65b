"""The panel of a SAXS detector that is away, or that somebody else commands; in `tests/end_to_end` it is real."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.fake_server import FakeServer
from tests.page.panel_text import panel

Serve = Callable[..., FakeServer]
Visit = Callable[..., Page]
DRIVERS = Path(__file__).resolve().parents[2] / "devices" / "drivers"
CALIBRATION: dict[str, Any] = {
    "Title": "from the leash",
    "Geometry": {"BeamCenter": [805.087, 422.371], "DedectorDistanceMM": 835.593},
    "Wavelength": 1.54,
    "Masks": [{"MaskFile": "/home/anna/AAA_integ.msk"}],
}


class Detector:
    """What the server answers for `SAXS1:`; a mask below /home is not there."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.calibration: dict[str, Any] | None = CALIBRATION
        self.begun: list[dict[str, Any]] = []
        schema = {name: (DRIVERS / f"saxs_{name}.schema.json").read_text() for name in ("calibration", "merge")}
        answers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "CalibrationSchema": lambda _: schema["calibration"],
            "MergeSchema": lambda _: schema["merge"],
            "QueueCalibration": lambda _: {} if self.calibration is None else {"calibration": self.calibration},
            "CheckCalibration": self.check,
            "MaskPreview": self.preview,
            "KeepQueueMasks": lambda _: ["masks/AAA_integ.msk"],
            "NewQueue": self.begin,
            "NewestCurves": lambda _: {},
            "IntegralHistory": lambda _: {"finished": [], "series": {}},
            "MergeResult": lambda _: {},
        }
        server.on_call.update({f"SAXS1:{name}": answer for name, answer in answers.items()})
        started = {"vtype": "VDouble", "value": 1000.0}
        server.pvs.update({
            "SAXS1:QueueStarted": {"connected": True, "severity": "NONE", **started},
            "SAXS1:QueueFolder": {"connected": True, "severity": "NONE", "vtype": "VString", "value": "/data/img"},
        })  # fmt: skip

    def check(self, arguments: dict[str, Any]) -> list[str]:
        found = json.loads(arguments["calibration"])
        files = [mask.get("MaskFile", "") for mask in found.get("Masks", [])]
        return [f"Masks[{n}].MaskFile: {file} cannot be read" for n, file in enumerate(files) if file[:5] == "/home"]

    def preview(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["file"].startswith("/home"):
            raise ValueError(f"NotAllowedError: {arguments['file']} is outside of the base folder")
        pixels = base64.b64encode(bytes(range(12))).decode()
        return {"rows": 30, "columns": 40, "masked": 300, "width": 4, "height": 3, "pixels": pixels}

    def begin(self, arguments: dict[str, Any]) -> str:
        self.calibration = json.loads(arguments["calibration"])
        self.begun.append(self.calibration or {})
        return ""


@pytest.fixture
def detector(serve: Serve) -> Detector:
    return Detector(serve(main=panel("")))


def test_masks_of_another_computer_are_kept_so_that_a_queue_can_be_begun(detector: Detector, visit: Visit) -> None:
    page = visit(detector.server, "saxs/SAXS1:")
    expect(page.locator('[data-key="Masks[0].MaskFile"] > .saxs-problem')).to_contain_text("cannot be read")
    expect(page.locator(".saxs-mask figcaption")).to_contain_text("is outside of the base folder")
    page.get_by_role("button", name="Keep the queue's masks here").click()
    expect(page.get_by_role("textbox", name="Masks[0].MaskFile")).to_have_value("masks/AAA_integ.msk")
    expect(page.locator(".saxs-mask figcaption")).to_have_text("masks/AAA_integ.msk: 30 × 40 px, 25.0 % masked")
    expect(page.get_by_role("button", name="Keep the queue's masks here")).to_be_hidden()
    page.get_by_role("button", name="Start queue").click()
    page.get_by_role("dialog").get_by_role("button", name="Start queue").click()
    page.get_by_role("dialog").get_by_role("button", name="No", exact=True).click()
    expect(page.locator(".saxs-state")).to_contain_text("synced")
    assert [each["Masks"][0]["MaskFile"] for each in detector.begun] == ["masks/AAA_integ.msk"]


def test_a_title_without_the_folder_is_warned_of_and_gisaxs_wants_slices(detector: Detector, visit: Visit) -> None:
    detector.calibration = None
    page = visit(detector.server, "saxs/SAXS1:")
    expect(page.locator(".saxs-state")).to_have_text("No queue")
    for key, text in {
        "Title": "agbeh",
        "Geometry.BeamCenter[0]": "805.1",
        "Geometry.BeamCenter[1]": "422.4",
        "Geometry.DedectorDistanceMM": "835.6",
        "Wavelength": "1.54",
        "Directory[0]": "2026-11",
    }.items():
        page.get_by_role("textbox", name=key, exact=True).fill(text)
    page.get_by_label("GISAXSmode").check()
    page.get_by_role("button", name="Start queue").click()
    expect(page.locator('[data-key="GISAXSmode"] > .saxs-problem')).to_contain_text("without slices")
    expect(page.locator(".saxs-queue > .saxs-problem")).to_contain_text("not sent")
    page.get_by_role("button", name="Add to Slices").click()
    page.get_by_role("button", name="Start queue").click()
    expect(page.get_by_role("dialog")).to_contain_text('The title "agbeh" does not contain the folder 2026-11')
    page.get_by_role("dialog").get_by_role("button", name="Start queue").click()
    expect(page.get_by_role("dialog")).to_contain_text("Integrate all images again?")
    assert detector.begun[0]["Slices"] == [
        {"Direction": "x", "Plane": "InPlane", "CutPosition": 0, "CutMargin": 1, "IncidentAngle": 0, "MaskRef": 0}
    ]


def test_what_is_edited_survives_a_reload(detector: Detector, visit: Visit) -> None:
    page = visit(detector.server, "saxs/SAXS1:")
    page.get_by_role("textbox", name="Title", exact=True).fill("mine β")
    expect(page.locator(".saxs-state")).to_contain_text("modified: 1 difference")
    page.reload()
    expect(page.get_by_role("textbox", name="Title", exact=True)).to_have_value("mine β")
    expect(page.locator(".saxs-state")).to_contain_text("modified: 1 difference")


def test_who_may_only_look_sees_everything_and_starts_nothing(detector: Detector, visit: Visit) -> None:
    detector.server.hello["writable"] = False
    page = visit(detector.server, "saxs/SAXS1:")
    expect(page.locator(".saxs-state")).to_contain_text("synced")
    for name in ("Start queue", "Integrate all again", "Close", "Abort"):
        expect(page.get_by_role("button", name=name, exact=True).first).to_be_disabled()
    page.get_by_role("tab", name="Consolidate").click()
    expect(page.get_by_role("button", name="Collect all data")).to_be_disabled()


def test_a_detector_that_is_away_is_told_and_asked_again(detector: Detector, visit: Visit) -> None:
    schema = detector.server.on_call["SAXS1:CalibrationSchema"]

    def away(_: dict[str, Any]) -> Any:
        raise ValueError("NotConnectedError: SAXS1:CalibrationSchema: the device server does not answer")

    detector.server.on_call["SAXS1:CalibrationSchema"] = away
    page = visit(detector.server, "saxs/SAXS1:")
    expect(page.locator(".saxs > .saxs-problem")).to_contain_text("the device server does not answer")
    detector.server.on_call["SAXS1:CalibrationSchema"] = schema
    expect(page.locator(".saxs-state")).to_contain_text("synced")
    expect(page.locator(".saxs > .saxs-problem")).to_be_hidden()
