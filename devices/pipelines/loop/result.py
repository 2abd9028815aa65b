"""What is found in one picture of a sample on its pin."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: What a loop is, and ``pin`` for a pin without one.
KINDS: Final = ("nylon", "mitegen", "pin")


@dataclass(frozen=True)
class LoopResult:
    """A loop in a picture; positions and sizes are fractions of the picture, x to the right, y down, 0 at the edge.

    Lengths along x are fractions of the width of the picture, lengths along y of its height. Where no loop was found,
    what belongs to it is 0, and ``message`` is one word that says why.

    Attributes:
        found: whether there is a loop; False for a bare pin, too.
        message: empty when found; ``no_loop`` (a bare pin), ``nothing`` (no pin either), ``tip_not_in_view``.
        tip_x, tip_y: the outermost point of the loop.
        pin_base_x: where the pin ends and the fibre begins; at the pin's edge of the picture if no pin is in view.
        loop_width: height of the box, what DCSS calls the loop's width.
        loop_width_x: width of the box, the length of the loop.
        box_min_x, box_max_x, box_min_y, box_max_y: the box around the loop, from where it is wider than the fibre.
        fiber_width: thickness of the fibre that bears the loop, along y.
        pin_min_y, pin_max_y: edges of the pin at its end; both 0 if no pin is in view.
        kind: one of `KINDS`.
        score: how sure it is, 0 to 1.
        edges: upper and lower edge of whatever is on the pin's axis, axes (edge, column of the picture), in pixels;
            NaN in columns without any.
    """

    found: bool = False
    message: str = ""
    tip_x: float = 0.0
    tip_y: float = 0.0
    pin_base_x: float = 0.0
    loop_width: float = 0.0
    loop_width_x: float = 0.0
    box_min_x: float = 0.0
    box_max_x: float = 0.0
    box_min_y: float = 0.0
    box_max_y: float = 0.0
    fiber_width: float = 0.0
    pin_min_y: float = 0.0
    pin_max_y: float = 0.0
    kind: str = "pin"
    score: float = 0.0
    edges: NDArray[np.float32] = field(default_factory=lambda: np.empty((2, 0), np.float32), compare=False, repr=False)

    @property
    def is_micromount(self) -> bool:
        """Whether the loop is a film of plastic with a hole, not a ring of nylon."""
        return self.kind == "mitegen"

    def mirrored(self) -> LoopResult:
        """The same in the picture mirrored left to right."""
        return replace(
            self,
            tip_x=1.0 - self.tip_x if self.found else 0.0,
            pin_base_x=1.0 - self.pin_base_x,
            box_min_x=1.0 - self.box_max_x if self.found else 0.0,
            box_max_x=1.0 - self.box_min_x if self.found else 0.0,
            edges=self.edges[:, ::-1],
        )
