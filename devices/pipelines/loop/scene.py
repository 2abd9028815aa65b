"""The shapes of a synthetic sample: a pin from the left, a fibre, a loop that turns with the spindle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.loop.result import LoopResult

#: Points of half an outline.
POINTS: Final = 60
#: The loop begins where it is wider than the fibre by this part of what it is wider at most.
BEGINS: Final = 0.1

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Outline:
    """What is drawn at one angle; each is the corners of a polygon, axes (corner, x and y), pixels.

    Attributes:
        pin, highlight: the metal and the bright band along it.
        fiber: from the pin to the loop.
        loop: its outer edge; empty for a bare pin.
        hole: what is open inside of it, or filled by a film.
        crystal: empty where there is none.
        truth: what is to be found.
    """

    pin: Points
    highlight: Points
    fiber: Points
    loop: Points
    hole: Points
    crystal: Points
    truth: LoopResult


@dataclass(frozen=True)
class Sample:
    """A pin with a loop on it; lengths in pixels of a picture of ``rows`` and ``columns``.

    Attributes:
        kind: ``nylon``, ``mitegen``, ``pin`` (no loop) or ``empty`` (no pin either).
        pin_x, pin_y, pin_radius: end of the pin, its axis there, half its thickness.
        pin_end: depth of its rounded (> 0) or rough (< 0) end.
        slope: of the axis, y over x.
        fiber_length, fiber_radius, wave: of the fibre; ``wave`` is how far it swings to the side.
        length, width, thickness: of the loop: along the axis, of its face, of the ring.
        flatness: width of its edge over that of its face.
        tilt_deg: of the loop against the axis.
        face_deg: angle at which it shows its face.
        offset, offset_deg: how far the loop's root is beside the axis of rotation, and at which angle it is lowest.
        roundness: where along its length the loop is widest, 0 to 1.
        hole_corners: of the hole of a micromount; 0: round.
        crystal_radius: over half the width of the loop; 0: none.
        seed: of the crystal's corners and the pin's roughness.
    """

    rows: int
    columns: int
    kind: str
    pin_x: float
    pin_y: float
    pin_radius: float
    pin_end: float
    slope: float
    fiber_length: float
    fiber_radius: float
    wave: float
    length: float
    width: float
    thickness: float
    flatness: float
    tilt_deg: float
    face_deg: float
    offset: float
    offset_deg: float
    roundness: float
    hole_corners: int
    crystal_radius: float
    seed: int

    def outline(self, angle_deg: float) -> Outline | None:
        """Its polygons at an angle of the spindle; None where there is nothing."""
        if self.kind == "empty":
            return None
        none = np.empty((0, 2))
        pin, highlight = self._pin()
        axis = self._axis(angle_deg)
        fiber = _ribbon(axis, self.fiber_radius)
        if self.kind == "pin":
            return Outline(
                pin, highlight, none if self.fiber_length < 1 else fiber, none, none, none, self._pin_truth()
            )
        seen = np.hypot(np.cos(np.radians(angle_deg - self.face_deg)), self.flatness)
        width = self.width * seen / np.hypot(1.0, self.flatness)
        upper = self._half(width)
        tilt = np.radians(self.tilt_deg * np.cos(np.radians(angle_deg - self.face_deg)))
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])

        def placed(points: Points) -> Points:
            return points @ turn + axis[-1] if len(points) else none

        loop = placed(_closed(upper))
        hole = placed(self._hole(upper, width))
        crystal = placed(self._crystal(width))
        return Outline(pin, highlight, fiber, loop, hole, crystal, self._truth(loop))

    def _pin(self) -> tuple[Points, Points]:
        rng = np.random.default_rng(self.seed)
        side = np.linspace(-1.0, 1.0, 25)
        if self.pin_end >= 0:
            depth = self.pin_end * (1.0 - np.sqrt(1.0 - side**2))
        else:
            depth = -self.pin_end * rng.random(len(side))
            depth -= depth.min()
        end = np.stack([self.pin_x - depth, self.pin_y + side * self.pin_radius], 1)
        end[:, 1] += self.slope * (end[:, 0] - self.pin_x)
        left = self.pin_y + self.slope * (-20.0 - self.pin_x)
        pin = np.concatenate([end, [[-20.0, left + self.pin_radius], [-20.0, left - self.pin_radius]]])
        band = self.pin_radius * (-0.3 + 0.12 * np.array([-1.0, 1.0, 1.0, -1.0]))
        stop = self.pin_x - abs(self.pin_end) - 2.0
        xs = np.array([-20.0, -20.0, stop, stop])
        return pin, np.stack([xs, self.pin_y + self.slope * (xs - self.pin_x) + band], 1)

    def _axis(self, angle_deg: float) -> Points:
        """The middle of the fibre, from inside of the pin to the loop's root."""
        along = np.linspace(0.0, 1.0, 40)
        aside = self.offset * np.cos(np.radians(angle_deg - self.offset_deg))
        x = self.pin_x - 4.0 + (self.fiber_length + 4.0) * along
        y = self.pin_y + self.slope * (x - self.pin_x) + aside * along**2 * (3.0 - 2.0 * along)
        y += self.wave * np.sin(2.0 * np.pi * along) * np.cos(np.radians(angle_deg - self.face_deg))
        return np.stack([x, y], 1)

    def _half(self, width: float) -> Points:
        """The upper half of the outer edge along an axis to the right, from the root to the tip."""
        t = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, POINTS))
        if self.kind == "nylon":
            power = self.roundness / (1.0 - self.roundness) * 1.3
            shape = t**power * np.sqrt(1.0 - t**3)
            shape /= shape.max()
        else:
            before = np.clip(t / self.roundness, 0.0, 1.0) ** 1.15
            after = np.clip((t - self.roundness) / (1.0 - self.roundness), 0.0, 1.0)
            shape = before * np.sqrt(1.0 - after**2.6)
        half = np.maximum(0.5 * width * shape, np.where(t < 0.5, self.fiber_radius, 0.0))
        return np.stack([t * self.length, -half], 1)

    def _hole(self, upper: Points, width: float) -> Points:
        if self.kind == "nylon":
            step = np.gradient(upper, axis=0)
            normal = np.stack([-step[:, 1], step[:, 0]], 1) / np.hypot(*step.T)[:, None]
            inner = upper + self.thickness * normal
            inside = (inner[:, 1] < 0.0) & (inner[:, 0] < self.length - self.thickness)
            return _closed(inner[inside]) if inside.sum() > 2 else np.empty((0, 2))
        corners = self.hole_corners or 32
        turn = 2.0 * np.pi * (np.arange(corners) + 0.5) / corners
        radius = np.array([0.24 * self.length, 0.3 * width])
        return np.asarray(_ring(turn) * radius + [self.roundness * self.length, 0.0])

    def _crystal(self, width: float) -> Points:
        if not self.crystal_radius:
            return np.empty((0, 2))
        rng = np.random.default_rng(self.seed + 1)
        turn = np.sort(rng.random(6) + np.arange(6)) * (2.0 * np.pi / 6)
        radius = np.array([self.crystal_radius * 0.5 * self.width, self.crystal_radius * 0.5 * width])
        return np.asarray(_ring(turn) * radius + [self.roundness * self.length, 0.0])

    def _pin_truth(self) -> LoopResult:
        return LoopResult(
            message="no_loop",
            score=1.0,
            pin_base_x=self.pin_x / self.columns,
            pin_min_y=(self.pin_y - self.pin_radius) / self.rows,
            pin_max_y=(self.pin_y + self.pin_radius) / self.rows,
        )

    def _truth(self, loop: Points) -> LoopResult:
        upper, lower = loop[:POINTS], loop[POINTS:][::-1]
        x = np.arange(np.ceil(loop[:, 0].min()), loop[:, 0].max(), 0.25)
        top = np.interp(x, np.maximum.accumulate(upper[:, 0]), upper[:, 1])
        bottom = np.interp(x, np.maximum.accumulate(lower[:, 0]), lower[:, 1])
        widths = bottom - top
        fiber = 2.0 * self.fiber_radius
        begin = x[int(np.argmax(widths > fiber + BEGINS * max(widths.max() - fiber, 0.0)))]
        inside = loop[loop[:, 0] >= begin]
        tip_x = float(inside[:, 0].max())
        tip_y = float(inside[inside[:, 0] > tip_x - 0.5, 1].mean())
        top_y, bottom_y = float(inside[:, 1].min()), float(inside[:, 1].max())
        return replace(
            self._pin_truth(),
            found=True,
            message="",
            tip_x=tip_x / self.columns,
            tip_y=tip_y / self.rows,
            loop_width=(bottom_y - top_y) / self.rows,
            loop_width_x=(tip_x - begin) / self.columns,
            box_min_x=float(begin) / self.columns,
            box_max_x=tip_x / self.columns,
            box_min_y=top_y / self.rows,
            box_max_y=bottom_y / self.rows,
            fiber_width=fiber / self.rows,
            kind=self.kind,
        )


def _ring(turn: NDArray[np.float64]) -> Points:
    return np.stack([np.cos(turn), np.sin(turn)], 1)


def _closed(upper: Points) -> Points:
    """A polygon from its half above the axis and the mirror of it."""
    return np.concatenate([upper, (upper * [1.0, -1.0])[::-1]])


def _ribbon(line: Points, radius: float) -> Points:
    """A polygon around a line."""
    step = np.gradient(line, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], 1) / np.hypot(*step.T)[:, None]
    return np.concatenate([line + radius * normal, (line - radius * normal)[::-1]])
