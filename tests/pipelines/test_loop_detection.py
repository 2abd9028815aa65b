"""The bars of loop detection on small sets, and what must hold for any picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from devices.pipelines.loop.detect import detect
from devices.pipelines.loop.settings import LoopSettings
from devices.pipelines.loop.synthetic import scene
from tests.pipelines.loop_scoring import COLUMNS, ROWS, false_positives, score, tip_distance

FINDERS = ("classical", "network")
#: Neither trained on nor reported.
SEEDS = range(600_000_000, 600_000_020)


@pytest.mark.parametrize("finder", FINDERS)
def test_an_easy_loop_is_found_to_one_and_a_half_pixels(finder: str) -> None:
    result = score("easy", SEEDS, LoopSettings(finder=finder))
    assert result.tip_px < 1.5
    assert result.iou >= 0.9
    assert result.within_10_px >= 0.9
    assert result.pin_px < 4.0
    assert result.fiber_px < 2.5


@pytest.mark.parametrize("finder", FINDERS)
def test_a_loop_among_dust_and_clouds_is_found_to_two_pixels(finder: str) -> None:
    result = score("medium", SEEDS, LoopSettings(finder=finder))
    assert result.tip_px < 2.0
    assert result.iou >= 0.9
    assert false_positives("medium", range(SEEDS.start, SEEDS.start + 15), LoopSettings(finder=finder)) <= 1


def test_the_network_finds_faint_loops_in_noise() -> None:
    network = score("hard", SEEDS, LoopSettings(finder="network"))
    assert network.within_10_px >= 0.8
    assert (
        network.within_10_px
        > score("hard", range(SEEDS.start, SEEDS.start + 8), LoopSettings(finder="classical")).within_10_px
    )


def test_the_network_tells_nylon_from_plastic() -> None:
    assert score("easy", SEEDS, LoopSettings(finder="network")).kinds >= 0.85


@pytest.mark.parametrize("finder", FINDERS)
def test_a_bare_pin_is_no_loop(finder: str) -> None:
    seeds = range(SEEDS.start, SEEDS.start + 8)
    assert false_positives("easy", seeds, LoopSettings(finder=finder), "pin") <= 1
    found = detect(scene("easy", SEEDS.start, "pin").picture().image, LoopSettings(finder=finder))
    truth = scene("easy", SEEDS.start, "pin").picture().truth
    assert (found.message, found.kind) == ("no_loop", "pin")
    assert found.pin_base_x == pytest.approx(truth.pin_base_x, abs=8 / COLUMNS)


@pytest.mark.parametrize("finder", FINDERS)
def test_the_same_picture_mirrored_shifted_and_larger_has_the_same_loop(finder: str) -> None:
    settings = LoopSettings(finder=finder)
    picture = scene("easy", SEEDS.start + 1).picture(30.0)
    image = picture.image
    found = detect(image, settings)
    assert tip_distance(found, picture.truth) < 3.0

    right = detect(image[:, ::-1], LoopSettings(pin_side="right", finder=finder))
    back = right.mirrored()
    assert (back.tip_x, back.tip_y, back.kind) == (pytest.approx(found.tip_x), found.tip_y, found.kind)
    assert (back.box_min_x, back.box_max_x, back.pin_base_x) == pytest.approx(
        (found.box_min_x, found.box_max_x, found.pin_base_x)
    )
    np.testing.assert_array_equal(back.edges, found.edges)

    down = detect(image[::-1], settings)
    assert down.tip_x == pytest.approx(found.tip_x, abs=2 / COLUMNS)
    assert down.tip_y == pytest.approx(1.0 - found.tip_y, abs=2 / ROWS)
    assert down.loop_width == pytest.approx(found.loop_width, abs=3 / ROWS)

    shifted = detect(np.roll(image, 24, axis=0), settings)
    assert shifted.tip_y - found.tip_y == pytest.approx(24 / ROWS, abs=1.5 / ROWS)
    assert shifted.tip_x == pytest.approx(found.tip_x, abs=1.5 / COLUMNS)

    larger = np.asarray(Image.fromarray(image).resize((1056, 720), Image.Resampling.BICUBIC))
    large = detect(larger, settings)
    assert large.tip_x == pytest.approx(found.tip_x, abs=3 / COLUMNS)
    assert large.tip_y == pytest.approx(found.tip_y, abs=3 / ROWS)
    assert large.loop_width == pytest.approx(found.loop_width, rel=0.15)


@pytest.mark.parametrize("finder", FINDERS)
def test_noise_never_helps(finder: str) -> None:
    """Means over pictures fall from level to level, but for a little luck."""
    seeds = range(SEEDS.start, SEEDS.start + 10)
    parts = [score(level, seeds, LoopSettings(finder=finder)).within_10_px for level in ("easy", "medium", "hard")]
    assert parts[0] + 0.15 >= parts[1]
    assert parts[1] + 0.15 >= parts[2]
    assert parts[0] >= 0.9


@pytest.mark.parametrize("finder", FINDERS)
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_empty_picture_shows_nothing(finder: str, grey: int) -> None:
    found = detect(np.full((480, 704, 3), grey, np.uint8), LoopSettings(finder=finder))
    assert not found.found
    assert found.message == "nothing"
    assert found.edges.shape == (2, 704)
    assert np.isnan(found.edges).all()


@pytest.mark.parametrize("finder", FINDERS)
def test_a_loop_over_the_edge_of_the_picture_has_its_tip_out_of_view(finder: str) -> None:
    picture = scene("easy", SEEDS.start + 1).picture(30.0)
    truth = picture.truth
    cut = round(COLUMNS * (0.4 * truth.box_min_x + 0.6 * truth.box_max_x))
    found = detect(picture.image[:, :cut], LoopSettings(finder=finder))
    assert (found.found, found.message) == (False, "tip_not_in_view")


@pytest.mark.parametrize("finder", FINDERS)
def test_edges_follow_the_pin(finder: str) -> None:
    picture = scene("easy", SEEDS.start + 1).picture(30.0)
    found, truth = detect(picture.image, LoopSettings(finder=finder)), picture.truth
    column = round(0.7 * truth.pin_base_x * COLUMNS)
    upper, lower = found.edges[:, column]
    assert lower - upper == pytest.approx((truth.pin_max_y - truth.pin_min_y) * ROWS, abs=4.0)
    assert np.isnan(found.edges[:, round(truth.tip_x * COLUMNS) + 10 :]).all()


@pytest.mark.parametrize(
    "image", [np.zeros((480, 704), float), np.zeros((480, 704, 4), np.uint8), np.zeros((9, 704), np.uint8)]
)
def test_what_is_no_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="picture"):
        detect(image)


def test_scenes_come_again_by_their_seed_and_turn() -> None:
    first, again = (scene("medium", 11) for _ in range(2))
    assert np.array_equal(first.picture(40.0).image, again.picture(40.0).image)
    assert not np.array_equal(first.picture(40.0, frame=0).image, first.picture(40.0, frame=1).image)
    widths = [
        first.sample.outline(angle).truth.loop_width for angle in (first.sample.face_deg, first.sample.face_deg + 90.0)
    ]
    assert widths[0] > 1.5 * widths[1]
