"""Loops in synthetic pictures that nothing was trained or tuned on: how far off, how sure, how long.

For each level the usual finder, and the classical one as its peer, on the same pictures; times are CPU time of this
process with one thread. Run with `python -m benchmarks loop_detection`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from benchmarks.figure import Figure
from devices.pipelines.loop.detect import detect
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.series import fit_rotation
from devices.pipelines.loop.settings import LoopSettings
from devices.pipelines.loop.synthetic import REPORT_SEED, Picture, scene
from tests.pipelines.loop_scoring import ROWS, overlap, tip_distance

PICTURES = 60
EMPTY = 30
ROTATIONS = 4

Find = Callable[[Picture], LoopResult]


def run() -> list[Figure]:
    """Figures of both finders; with targets for the usual one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        figures = [figure for level in ("easy", "medium", "hard") for figure in _level(level)]
        return [*figures, *_rotation()]
    finally:
        torch.set_num_threads(threads)


def _level(level: str) -> list[Figure]:
    pictures = [scene(level, REPORT_SEED + seed).picture(17.0 * seed) for seed in range(PICTURES)]
    nothing = [scene(level, REPORT_SEED + seed, "empty").picture() for seed in range(EMPTY)]
    network, classical = (LoopSettings(finder=name) for name in ("network", "classical"))
    ours, peer = (_scores(pictures, nothing, settings) for settings in (network, classical))
    tip_bar = {"easy": 1.5, "medium": 2.0}.get(level)
    overlap_bar = 0.9 if level != "hard" else None
    name = f"Loops, {level}:"
    return [
        Figure(f"{name} tip off, median (peer: classical)", ours[0], "px", peer[0], below=tip_bar),
        Figure(f"{name} tips within 10 px", ours[1], "%", peer[1], above=80.0),
        Figure(f"{name} overlap of boxes, median", ours[2], "", peer[2], above=overlap_bar),
        Figure(f"{name} right kinds", ours[3], "%", peer[3], more=True),
        Figure(f"{name} found in {EMPTY} empty pictures", ours[4], "", peer[4], below=EMPTY / 15 + 0.5),
        Figure(f"{name} time of a 704 x 480 picture", ours[5], "ms", peer[5], below=10.0),
    ]


def _scores(pictures: list[Picture], nothing: list[Picture], settings: LoopSettings) -> tuple[float, ...]:
    detect(pictures[0].image, settings)  # loads what it needs
    found, times = [], []
    for picture in pictures:
        begin = time.process_time()
        found.append(detect(picture.image, settings))
        times.append(1e3 * (time.process_time() - begin))
    pairs = [(result, picture.truth) for result, picture in zip(found, pictures, strict=True)]
    far = [min(tip_distance(*pair), 999.0) for pair in pairs]
    return (
        median(far),
        100.0 * sum(each < 10.0 for each in far) / len(far),
        median(overlap(*pair) for pair in pairs),
        100.0 * sum(result.kind == truth.kind for result, truth in pairs) / len(pairs),
        float(sum(detect(picture.image, settings).found for picture in nothing)),
        median(times),
    )


def _rotation() -> list[Figure]:
    """Ninety hard pictures of a loop: tips of single pictures, those by the sines, and the angle of its face."""
    angles = [2.0 * index for index in range(90)]
    single, fitted, face = [], [], []
    for seed in range(ROTATIONS):
        turned = scene("hard", REPORT_SEED + 1000 + seed)
        pictures = [turned.picture(angle, frame) for frame, angle in enumerate(angles)]
        results = [detect(picture.image, LoopSettings(finder="network")) for picture in pictures]
        fit = fit_rotation(results, angles)
        swing = [result.tip_y for result in fit.filled]
        truths = [picture.truth.tip_y for picture in pictures]
        single += [min(tip_distance(r, p.truth), 999.0) for r, p in zip(results, pictures, strict=True)]
        fitted += [abs(tip - truth) * ROWS for tip, truth in zip(swing, truths, strict=True)]
        face.append(abs((fit.face_deg - turned.sample.face_deg + 90.0) % 180.0 - 90.0) if fit.found else 90.0)
    return [
        Figure("Loops, hard, 4 rotations: tip off, median", median(single), "px"),
        Figure("Loops, hard, 4 rotations: tip's height off, filled", median(fitted), "px"),
        Figure("Loops, hard, 4 rotations: angle of the face off", median(face), "deg"),
    ]
