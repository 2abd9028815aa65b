"""Synthetic camera pictures of loops and what is to be found in them; for training, tests and the simulated camera."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.scene import Outline, Sample

#: Seeds of pictures to develop with and to learn from lie below; those of reported figures from here on.
REPORT_SEED: Final = 1_000_000_000
#: Shapes are drawn so many times as large.
FINE: Final = 4


@dataclass(frozen=True)
class Level:
    """How hard pictures are; pairs are from, to.

    Attributes:
        transmission: of ring and pin: 0 black, 1 not to be seen.
        noise: standard deviation at a grey value of 200.
        defocus: sigma of the blur, pixels.
        dust: specks on the camera.
        mottle: amplitude of clouds in the light.
        jpeg: quality.
    """

    transmission: tuple[float, float]
    noise: tuple[float, float]
    defocus: tuple[float, float]
    dust: tuple[int, int]
    mottle: tuple[float, float]
    jpeg: tuple[int, int]


LEVELS: Final = {
    "easy": Level((0.2, 0.45), (1.5, 3.0), (0.6, 1.0), (0, 0), (0.0, 0.02), (88, 95)),
    "medium": Level((0.35, 0.6), (4.0, 8.0), (0.8, 1.6), (6, 15), (0.03, 0.07), (70, 88)),
    "hard": Level((0.6, 0.82), (12.0, 22.0), (1.2, 2.4), (15, 40), (0.07, 0.14), (45, 70)),
}


@dataclass(frozen=True)
class Picture:
    """A picture (row, column, 3) and what is in it."""

    image: NDArray[np.uint8]
    truth: LoopResult
    angle_deg: float


@dataclass(frozen=True)
class Scene:
    """A sample before a camera; `picture` takes one at any angle of the spindle."""

    sample: Sample
    light: float
    gradient: tuple[float, float]
    vignette: float
    mottle: float
    dust: int
    noise: float
    defocus: float
    tint: tuple[float, float, float]
    jpeg: int
    ring: float
    pin: float
    highlight: float
    film: float
    crystal: float
    seed: int
    rows: int = field(default=480)
    columns: int = field(default=704)

    def picture(self, angle_deg: float = 0.0, frame: int = 0) -> Picture:
        """The sample at an angle; noise differs from ``frame`` to frame."""
        image, truth = self.grey(angle_deg, frame)
        colours = np.empty((*image.shape, 3), np.uint8)
        for channel, gain in enumerate(self.tint):
            colours[..., channel] = np.clip(image * np.float32(gain), 0, 255)
        with Image.open(io.BytesIO(encoded(colours, self.jpeg))) as packed:
            return Picture(np.asarray(packed.convert("RGB")), truth, angle_deg)

    def grey(self, angle_deg: float = 0.0, frame: int = 0) -> tuple[NDArray[np.float32], LoopResult]:
        """As the camera sees it before colours and compression, and what is in it."""
        outline = self.sample.outline(angle_deg)
        image = self.background.copy()
        if outline is not None:
            first, last, transmission = self._transmission(outline)
            image[first:last] *= transmission
        rng = np.random.default_rng([self.seed, frame, round(angle_deg * 1000) % 360_000])
        noise = rng.standard_normal(image.shape, np.float32)
        noise *= np.sqrt(np.maximum(image, 1.0) * np.float32(self.noise**2 / 200.0))
        image += noise
        return np.clip(image, 0.0, 255.0, out=image), outline.truth if outline else LoopResult(message="nothing")

    @cached_property
    def background(self) -> NDArray[np.float32]:
        """The light without the sample, (row, column): a slope, darker corners, clouds, dust."""
        rng = np.random.default_rng([self.seed, 1])
        y = np.linspace(-1.0, 1.0, self.rows, dtype=np.float32)[:, None]
        x = np.linspace(-1.0, 1.0, self.columns, dtype=np.float32)[None, :]
        light = np.float32(1.0) + self.gradient[0] * y + self.gradient[1] * x - self.vignette * (x * x + y * y)
        for cells in (5, 14):
            clouds = Image.fromarray(rng.standard_normal((cells, int(cells * 1.5)), np.float32))
            light += self.mottle * 0.6 * np.asarray(clouds.resize((self.columns, self.rows), Image.Resampling.BICUBIC))
        for _ in range(self.dust):
            self._speck(light, rng)
        return np.asarray(np.clip(light, 0.15, 1.25) * self.light, np.float32)

    def _speck(self, light: NDArray[np.floating], rng: np.random.Generator) -> None:
        row, column = int(rng.integers(0, self.rows)), int(rng.integers(0, self.columns))
        radius, stretch, depth = rng.uniform(1.0, 5.0), rng.uniform(0.4, 2.5), rng.uniform(0.1, 0.6)
        reach = int(4 * radius * max(stretch, 1.0)) + 2
        rows = slice(max(row - reach, 0), row + reach)
        columns = slice(max(column - reach, 0), column + reach)
        part = light[rows, columns]
        y = np.arange(rows.start, rows.start + part.shape[0])[:, None] - row
        x = np.arange(columns.start, columns.start + part.shape[1])[None, :] - column
        part *= 1.0 - depth * np.exp(-0.5 * ((x / stretch) ** 2 + y**2) / radius**2).astype(np.float32)

    def _transmission(self, outline: Outline) -> tuple[int, int, NDArray[np.float32]]:
        """First and last row that the sample is in, and what it lets through there."""
        shapes = [
            (outline.pin, self.pin),
            (outline.highlight, self.highlight),
            (outline.fiber, self.ring),
            (outline.loop, self.ring),
        ]
        micromount = self.sample.kind == "mitegen"
        if micromount and len(outline.loop):
            middle = outline.loop.mean(0)
            shapes.append(((outline.loop - middle) * 0.93 + middle, 0.35 * self.ring + 0.65 * self.film))
            shapes.append((outline.hole, 1.0))
        else:
            shapes.append((outline.hole, self.film))
        shapes.append((outline.crystal, self.crystal))
        ys = np.concatenate([points[:, 1] for points, _ in shapes])
        margin = 4.0 * self.defocus + 2.0
        first = int(np.clip(ys.min() - margin, 0, self.rows - 2))
        last = int(np.clip(ys.max() + margin + 1, first + 2, self.rows))
        canvas = Image.new("L", (self.columns * FINE, (last - first) * FINE), 255)
        draw = ImageDraw.Draw(canvas)
        for points, value in shapes:
            if len(points) > 2:
                # A pixel of the canvas is drawn when its middle is inside.
                corners = (points - [0.0, first]) * FINE - 0.5
                draw.polygon([tuple(corner) for corner in corners.tolist()], fill=round(255 * value))
        seen = np.asarray(canvas.reduce(FINE), np.float32) / np.float32(255.0)
        return first, last, gaussian_filter(seen, self.defocus, mode="nearest", truncate=3.0)


def scene(level: str, seed: int, kind: str | None = None) -> Scene:
    """A scene of a level by chance; the same seed gives the same one.

    Args:
        level: one of `LEVELS`.
        kind: nylon, mitegen, pin or empty; one of the first two by chance if None.
    """
    bounds = LEVELS[level]
    rng = np.random.default_rng([seed, list(LEVELS).index(level)])
    u = rng.uniform
    chosen = kind or str(rng.choice(["nylon", "mitegen"]))
    width = u(36.0, 90.0)
    fiber_radius = u(1.3, 3.0)
    ring = u(*bounds.transmission)
    sample = Sample(
        rows=480,
        columns=704,
        kind=chosen,
        pin_x=u(40.0, 260.0),
        pin_y=u(150.0, 330.0),
        pin_radius=u(14.0, 38.0),
        pin_end=float(rng.choice([u(0.0, 3.0), u(6.0, 14.0), -u(3.0, 8.0)])),
        slope=u(-0.06, 0.06),
        fiber_length=u(50.0, 210.0) if chosen != "pin" else float(rng.choice([0.0, u(10.0, 60.0)])),
        fiber_radius=fiber_radius,
        wave=u(-4.0, 4.0),
        length=width * u(1.15, 1.9),
        width=width,
        thickness=u(0.9, 1.3) * 2.0 * fiber_radius,
        flatness=u(0.15, 0.35),
        tilt_deg=u(-16.0, 16.0),
        face_deg=u(0.0, 180.0),
        offset=u(0.0, 22.0),
        offset_deg=u(0.0, 360.0),
        roundness=u(0.45, 0.65),
        hole_corners=int(rng.choice([0, 6])),
        crystal_radius=float(rng.choice([0.0, u(0.25, 0.6)])),
        seed=int(rng.integers(1 << 30)),
    )
    return Scene(
        sample=sample,
        light=u(150.0, 215.0),
        gradient=(u(-0.12, 0.12), u(-0.12, 0.12)),
        vignette=u(0.0, 0.12),
        mottle=u(*bounds.mottle),
        dust=int(rng.integers(bounds.dust[0], bounds.dust[1] + 1)),
        noise=u(*bounds.noise),
        defocus=u(*bounds.defocus),
        tint=(u(0.9, 1.05), u(0.95, 1.05), u(0.85, 1.05)),
        jpeg=int(rng.integers(*bounds.jpeg)),
        ring=ring,
        pin=ring * u(0.5, 0.9),
        highlight=min(1.0, ring * u(1.0, 2.5)),
        film=1.0 - (1.0 - ring) * u(0.1, 0.45),
        crystal=1.0 - (1.0 - ring) * u(0.3, 0.9),
        seed=int(rng.integers(1 << 30)),
    )


def encoded(image: NDArray[np.uint8], quality: int = 85) -> bytes:
    """A picture as JPEG."""
    packed = io.BytesIO()
    Image.fromarray(image).save(packed, "JPEG", quality=quality)
    return packed.getvalue()
