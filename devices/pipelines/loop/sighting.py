"""Where the points of a loop are in a picture, pixels; what finders hand on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from devices.pipelines.loop.result import LoopResult


@dataclass(frozen=True)
class Sighting:
    """What a finder saw; x to the right, y down, pixels of the picture, the pin on the left.

    Attributes:
        kind: nylon, mitegen, pin (a bare one), nothing, or cut: a loop that reaches over the right edge.
        score: how sure it is, 0 to 1.
        tip: the outermost point, x and y.
        box: around the loop: min x, max x, min y, max y.
        pin: x of its end, upper and lower edge there; None where no pin is in view.
    """

    kind: str
    score: float
    tip: tuple[float, float] = (0.0, 0.0)
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    pin: tuple[float, float, float] | None = None

    @property
    def is_loop(self) -> bool:
        return self.kind in ("nylon", "mitegen")

    def result(self, columns: int, rows: int, least_score: float) -> LoopResult:
        """As fractions of a picture of this size."""
        at, upper, lower = self.pin or (0.0, 0.0, 0.0)
        bare = LoopResult(
            message="no_loop" if self.pin else "nothing",
            score=self.score,
            pin_base_x=at / columns,
            pin_min_y=upper / rows,
            pin_max_y=lower / rows,
        )
        if self.kind == "cut":
            return replace(bare, message="tip_not_in_view")
        if not self.is_loop or self.score < least_score:
            return bare
        left, right, top, bottom = self.box
        return replace(
            bare,
            found=True,
            message="",
            tip_x=self.tip[0] / columns,
            tip_y=self.tip[1] / rows,
            loop_width=(bottom - top) / rows,
            loop_width_x=(right - left) / columns,
            box_min_x=left / columns,
            box_max_x=right / columns,
            box_min_y=top / rows,
            box_max_y=bottom / rows,
            kind=self.kind,
        )
