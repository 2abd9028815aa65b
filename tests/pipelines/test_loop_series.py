"""Sines through a rotation of ninety pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from devices.pipelines.loop.detect import detect
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.series import fit_rotation
from devices.pipelines.loop.settings import LoopSettings
from devices.pipelines.loop.synthetic import scene

ANGLES = [2.0 * index for index in range(90)]
FACE_DEG = 37.0


def turning(angle_deg: float) -> LoopResult:
    """A loop 40 pixels wide at its face and 10 at its edge, 12 pixels beside the axis, in 480 rows."""
    width = (25.0 + 15.0 * np.cos(np.radians(2 * (angle_deg - FACE_DEG)))) / 480
    tip = (240.0 + 12.0 * np.cos(np.radians(angle_deg - 100.0))) / 480
    box = {"box_min_x": 0.5, "box_max_x": 0.62, "box_min_y": tip - width / 2, "box_max_y": tip + width / 2}
    return LoopResult(
        found=True,
        tip_x=0.62,
        tip_y=tip,
        pin_base_x=0.2,
        loop_width=width,
        loop_width_x=0.12,
        kind="nylon",
        score=0.9,
        **box,
    )


def test_the_face_and_the_offset_of_a_loop_come_out_of_its_rotation() -> None:
    fit = fit_rotation([turning(angle) for angle in ANGLES], ANGLES)
    assert fit.found
    assert (fit.face_deg, fit.edge_deg) == (pytest.approx(37.0), pytest.approx(127.0))
    assert (fit.width_mean * 480, fit.width_amplitude * 480) == (pytest.approx(25.0), pytest.approx(15.0))
    assert (fit.tip_mean * 480, fit.tip_amplitude * 480, fit.tip_deg) == (
        pytest.approx(240.0),
        pytest.approx(12.0),
        pytest.approx(100.0),
    )
    assert all(fit.used)
    assert fit.width_rms == pytest.approx(0.0, abs=1e-9)


def test_lost_and_wrong_frames_are_filled_from_the_others() -> None:
    rng = np.random.default_rng(5)
    frames = [turning(angle) for angle in ANGLES]
    lost, wrong = [3, 4, 40, 71], [9, 10, 55, 88]
    for index in lost:
        frames[index] = LoopResult(message="nothing")
    for index in wrong:
        frames[index] = replace(frames[index], tip_y=float(rng.uniform(0.1, 0.3)), loop_width=0.3)
    fit = fit_rotation(frames, ANGLES)
    assert [index for index, used in enumerate(fit.used) if not used] == sorted(lost + wrong)
    for index in lost + wrong:
        truth, filled = turning(ANGLES[index]), fit.filled[index]
        assert (filled.found, filled.score, filled.kind) == (True, 0.0, "nylon")
        for name in ("tip_x", "tip_y", "loop_width", "box_min_y", "box_max_y", "box_min_x", "pin_base_x"):
            assert getattr(filled, name) == pytest.approx(getattr(truth, name), abs=1e-6)
    assert fit.filled[0] is frames[0]


def test_a_few_frames_or_a_narrow_sector_give_no_fit() -> None:
    few = [turning(angle) for angle in ANGLES[:7]]
    assert not fit_rotation(few, ANGLES[:7]).found
    narrow = [0.5 * index for index in range(90)]
    fit = fit_rotation([turning(angle) for angle in narrow], narrow)
    assert not fit.found
    assert len(fit.filled) == 90
    assert not fit_rotation([], []).found
    assert not fit_rotation([turning(0.0)] * 90, [0.0] * 90).found


def test_as_many_angles_as_pictures_are_needed() -> None:
    with pytest.raises(ValueError, match="2 pictures"):
        fit_rotation([turning(0.0)] * 2, [0.0])
    with pytest.raises(ValueError, match="finite"):
        fit_rotation([turning(0.0)] * 2, [0.0, float("nan")])


@pytest.mark.parametrize("level", ["medium", "hard"])
def test_pictures_of_a_rotation_show_where_the_face_is(level: str) -> None:
    turned = scene(level, 600_000_002)
    angles = ANGLES[::3]
    pictures = [turned.picture(angle, frame=index) for index, angle in enumerate(angles)]
    fit = fit_rotation([detect(picture.image, LoopSettings(finder="network")) for picture in pictures], angles)
    assert fit.found
    off = (fit.face_deg - turned.sample.face_deg + 90.0) % 180.0 - 90.0
    assert abs(off) < 8.0
    worst = np.median([abs(f.tip_y - p.truth.tip_y) * 480 for f, p in zip(fit.filled, pictures, strict=True)])
    assert worst < 3.0
