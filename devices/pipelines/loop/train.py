"""The training of the networks on synthetic pictures: ``python -m devices.pipelines.loop.train``."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from devices.pipelines.loop.network import CLASSES, POINTS, SHIPPED, LoopNetwork, networks, save_networks
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.synthetic import scene
from devices.pipelines.loop.view import Window, close_view, grey_image, whole_view

#: Part of each level, and of each kind, among the scenes.
LEVEL_PARTS: Final = {"easy": 0.25, "medium": 0.3, "hard": 0.45}
KIND_PARTS: Final = {"nylon": 0.4, "mitegen": 0.4, "pin": 0.1, "empty": 0.1}


@dataclass(frozen=True)
class TrainSettings:
    """How the networks are trained; the same settings on the same machine give the same networks.

    Attributes:
        seed: of scenes and weights.
        scenes: pictures to learn from; each gives two views of the whole and three close ones.
        whole_steps, close_steps: batches for each network.
        batch: views of a batch.
        learning_rate: of Adam, at its greatest.
    """

    seed: int = 1
    scenes: int = 4000
    whole_steps: int = 900
    close_steps: int = 1000
    batch: int = 16
    learning_rate: float = 4e-3


@dataclass(frozen=True)
class Views:
    """Views and what is in them; the first axis is the view.

    Attributes:
        pictures: (view, row, column), as the networks see them.
        points: (view, point, x and y), fractions of the view; NaN for what is not in it.
        classes: index in `CLASSES`.
        pins: 1 where the pin's end is in the view.
    """

    pictures: NDArray[np.float16]
    points: NDArray[np.float32]
    classes: NDArray[np.int64]
    pins: NDArray[np.float32]


def train(settings: TrainSettings, say: Callable[[str], None] = lambda line: None) -> tuple[LoopNetwork, LoopNetwork]:
    """Both networks, trained on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            whole, close = networks()
            whole_views, close_views = make_views(settings)
            say(f"{len(whole_views.classes)} and {len(close_views.classes)} views, {time.process_time():.0f} s")
            _learn(whole, whole_views, settings, settings.whole_steps, say)
            _learn(close, close_views, settings, settings.close_steps, say)
    finally:
        torch.set_num_threads(threads)
    return whole, close


def make_views(settings: TrainSettings) -> tuple[Views, Views]:
    """Views of the whole, and close ones, of scenes by chance."""
    rng = np.random.default_rng(settings.seed)
    wholes: list[_View] = []
    closes: list[_View] = []
    for index in range(settings.scenes):
        level = str(rng.choice(list(LEVEL_PARTS), p=list(LEVEL_PARTS.values())))
        kind = str(rng.choice(list(KIND_PARTS), p=list(KIND_PARTS.values())))
        grey, truth = scene(level, settings.seed * 1_000_000 + index, kind).grey(float(rng.uniform(0.0, 360.0)))
        picture = _compressed(grey.astype(np.uint8), int(rng.integers(45, 95)))
        points = _points(truth, picture.size)
        wholes.append(_seen(picture, Window(0, 0, *picture.size), points, truth, whole_view))
        wholes.append(_seen(picture, _part(rng, picture.size, points, truth), points, truth, whole_view))
        for _ in range(3):
            closes.append(_seen(picture, _near(rng, picture.size, points, truth), points, truth, close_view))
    return _stacked(wholes), _stacked(closes)


_View = tuple[NDArray[np.float32], NDArray[np.float64], int, float]


def _seen(
    picture: Image.Image,
    window: Window,
    points: NDArray[np.float64],
    truth: LoopResult,
    view: Callable[..., NDArray[np.float32]],
) -> _View:
    if view is whole_view:
        x, y, width, height = (int(length) for length in window)
        seen = whole_view(picture.crop((x, y, x + width, y + height)))
        window = Window(x, y, width, height)
    else:
        seen = close_view(picture, window)
    placed = (points - [window.x, window.y]) / [window.width, window.height]
    inside = np.all((placed > 0.0) & (placed < 1.0), axis=1)
    placed[~inside] = np.nan
    pin = float(inside[4:].all())
    if not truth.found or not inside[:4].any():
        name = "pin" if pin else "nothing"
    elif not inside[0]:
        name = "cut"
    else:
        name = truth.kind
    return seen, placed, CLASSES.index(name), pin


def _points(truth: LoopResult, size: tuple[int, int]) -> NDArray[np.float64]:
    """The truth's points in pixels, (point, x and y); NaN for what does not exist."""
    points = np.full((len(POINTS), 2), np.nan)
    if truth.found:
        middle = 0.4 * truth.box_min_x + 0.6 * truth.box_max_x
        across = 0.5 * (truth.box_min_y + truth.box_max_y)
        points[:4] = [
            (truth.tip_x, truth.tip_y),
            (truth.box_min_x, across),
            (middle, truth.box_min_y),
            (middle, truth.box_max_y),
        ]
    if truth.pin_max_y:
        points[4:] = [(truth.pin_base_x, truth.pin_min_y), (truth.pin_base_x, truth.pin_max_y)]
    return points * size


def _part(rng: np.random.Generator, size: tuple[int, int], points: NDArray[np.float64], truth: LoopResult) -> Window:
    """A part of the picture in its shape, with the loop in it, or cut by it now and then."""
    width, height = size
    zoom = rng.uniform(1.0, 2.4)
    if truth.found:
        zoom = max(1.0, min(zoom, 0.75 / truth.loop_width_x, 0.75 / truth.loop_width))
    part = np.array([width, height]) / zoom
    low, high = np.zeros(2), np.array([width, height]) - part
    if truth.found:
        loop = points[:4]
        low = np.maximum(low, loop.max(0) + 4.0 - part)
        high = np.minimum(high, loop.min(0) - 4.0)
        if rng.random() < 0.12:  # cut by the right edge
            cut = rng.uniform(points[1, 0], points[0, 0] - 2.0) - part[0]
            low[0] = high[0] = np.clip(cut, 0.0, width - part[0])
    corner = rng.uniform(np.minimum(low, high), high)
    return Window(*np.clip(corner, 0.0, np.array([width, height]) - part), *part)


def _near(rng: np.random.Generator, size: tuple[int, int], points: NDArray[np.float64], truth: LoopResult) -> Window:
    """A close window, off by as much as the first look may be; anywhere where there is no loop."""
    if truth.found and rng.random() < 0.93:
        window = Window.around((points[1, 0], points[0, 0], points[2, 1], points[3, 1]))
        scale = float(np.exp(rng.normal(0.0, 0.13)))
        shift = rng.normal(0.0, 0.06, 2) * [window.width, window.height]
    else:
        x, y = rng.uniform(0.1, 0.9, 2) * size
        length = rng.uniform(30.0, 120.0)
        window = Window.around((x - length / 2, x + length / 2, y, y))
        scale, shift = 1.0, np.zeros(2)
    width, height = window.width * scale, window.height * scale
    x = window.x + (window.width - width) / 2 + float(shift[0])
    return Window(x, window.y + (window.height - height) / 2 + float(shift[1]), width, height)


def _compressed(grey: NDArray[np.uint8], quality: int) -> Image.Image:
    packed = io.BytesIO()
    Image.fromarray(grey).save(packed, "JPEG", quality=quality)
    return grey_image(np.asarray(Image.open(packed)))


def _stacked(views: list[_View]) -> Views:
    pictures, points, classes, pins = zip(*views, strict=True)
    return Views(
        np.stack(pictures).astype(np.float16),
        np.stack(points).astype(np.float32),
        np.array(classes),
        np.array(pins, np.float32),
    )


def _learn(network: LoopNetwork, views: Views, settings: TrainSettings, steps: int, say: Callable[[str], None]) -> None:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, steps, pct_start=0.15)
    rng = np.random.default_rng([settings.seed, steps])
    order = np.empty(0, np.int64)
    losses: list[float] = []
    for step in range(steps):
        if len(order) < settings.batch:
            order = rng.permutation(len(views.classes))
        chosen, order = order[: settings.batch], order[settings.batch :]
        pictures, points = _changed(rng, views.pictures[chosen].astype(np.float32), views.points[chosen].copy())
        loss = _loss(
            network(torch.from_numpy(pictures)[:, None].contiguous(memory_format=torch.channels_last)),
            torch.from_numpy(points),
            torch.from_numpy(views.classes[chosen]),
            torch.from_numpy(views.pins[chosen]),
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 99:
            say(f"step {step + 1} of {steps}: loss {np.mean(losses[-100:]):.3f}, {time.process_time():.0f} s")
    network.eval()


def _changed(
    rng: np.random.Generator, pictures: NDArray[np.float32], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Views with other contrast, half of them upside down."""
    pictures = pictures * rng.uniform(0.7, 1.3, (len(pictures), 1, 1)).astype(np.float32)
    turned = rng.random(len(pictures)) < 0.5
    pictures[turned] = pictures[turned, ::-1]
    swapped = points[:, [0, 1, 3, 2, 5, 4]] * np.array([1.0, -1.0], np.float32) + np.array([0.0, 1.0], np.float32)
    points[turned] = swapped[turned]
    return pictures, points


def _loss(said: tuple[Tensor, Tensor, Tensor], points: Tensor, classes: Tensor, pins: Tensor) -> Tensor:
    placed, logits, log_maps = said
    rows, columns = log_maps.shape[2:]
    exists = ~points.isnan().any(2)
    truth = points.nan_to_num(0.0)
    cells = torch.tensor([columns, rows])
    x = torch.exp(-0.5 * (torch.arange(columns) + 0.5 - truth[..., :1] * columns) ** 2)
    y = torch.exp(-0.5 * (torch.arange(rows) + 0.5 - truth[..., 1:] * rows) ** 2)
    wanted = y[..., :, None] * x[..., None, :]
    wanted = wanted / wanted.sum((2, 3), keepdim=True).clamp(min=1e-6)
    spread = -(wanted * log_maps).sum((2, 3))
    off = torch.nn.functional.smooth_l1_loss(placed * cells, truth * cells, reduction="none", beta=0.2).sum(2)
    verdict = torch.nn.functional.cross_entropy(logits[:, :-1], classes)
    pin = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, -1], pins)
    return ((0.5 * spread + off) * exists).sum() / exists.sum().clamp(min=1) + verdict + pin


def main() -> None:
    """Train with the usual settings and write the weights that are shipped, or those of the path given."""
    settings = TrainSettings()
    whole, close = train(settings, lambda line: print(line, flush=True))
    record = asdict(settings) | {"cpu_seconds": round(time.process_time())}
    save_networks(sys.argv[1] if len(sys.argv) > 1 else SHIPPED, whole, close, json.dumps(record))


if __name__ == "__main__":
    main()
