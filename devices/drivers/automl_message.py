"""Questions and answers of an AutoML object detection service (the edge container's REST API), as JSON.

Boxes are ``[min y, min x, max y, max x]``, fractions of the picture from its upper left corner.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeGuard

from devices.core.errors import ProtocolError
from devices.pipelines.loop.result import LoopResult

PREDICT_PATH: Final = "/v1/models/default:predict"
HEALTH_PATH: Final = "/v1/models/default"
LOOPS: Final = ("nylon", "mitegen")


@dataclass(frozen=True)
class Detection:
    """One object in a picture; fractions of the picture."""

    name: str
    score: float
    min_x: float
    max_x: float
    min_y: float
    max_y: float


def question(packed: bytes, key: str, max_boxes: int) -> dict[str, Any]:
    """What is posted for one picture, JPEG or PNG."""
    image = {"b64": base64.b64encode(packed).decode()}
    return {
        "instances": [{"image_bytes": image, "key": key}],
        "params": [{"max_bounding_box_count": str(max_boxes)}],
    }


def prediction(detections: Sequence[Detection], key: str | None, classes: Sequence[str]) -> dict[str, Any]:
    """One picture's answer; the best detection is first."""
    best_first = sorted(detections, key=lambda detection: -detection.score)
    answer: dict[str, Any] = {} if key is None else {"key": key}
    return answer | {
        "num_detections": len(best_first),
        "detection_boxes": [[d.min_y, d.min_x, d.max_y, d.max_x] for d in best_first],
        "detection_scores": [d.score for d in best_first],
        "detection_classes": [classes.index(d.name) + 1 for d in best_first],
        "detection_classes_as_text": [d.name for d in best_first],
    }


def detections_of(answer: object, key: str) -> list[Detection]:
    """The detections of the picture with this key, best first.

    A service may leave keys out when it answers one picture, and may call classes ``detection_class_names``.

    Raises:
        ProtocolError: the answer has another form, or none for this key; the text says what is wrong.
    """
    predictions = answer.get("predictions") if isinstance(answer, Mapping) else None
    if not isinstance(predictions, list) or not all(isinstance(each, Mapping) for each in predictions):
        raise ProtocolError(f"AutoML: an answer without a list of predictions: {answer!r:.200}")
    ours = [each for each in predictions if each.get("key") == key]
    if not ours and len(predictions) == 1 and "key" not in predictions[0]:
        ours = predictions
    if not ours:
        raise ProtocolError(f"AutoML: no prediction has the key {key!r}")
    found = ours[0]
    names = found.get("detection_classes_as_text", found.get("detection_class_names"))
    boxes, scores = found.get("detection_boxes"), found.get("detection_scores")
    lists = (names, boxes, scores)
    if not all(isinstance(each, list) for each in lists):
        raise ProtocolError(f"AutoML: the prediction of {key!r} lacks classes, boxes or scores")
    count = found.get("num_detections", len(scores))
    if not _is_finite(count) or min(map(len, lists)) < int(count):
        raise ProtocolError(f"AutoML: {count!r} detections, but lists of {', '.join(str(len(each)) for each in lists)}")
    rows = zip(names, boxes, scores, strict=False)
    detections = [_detection(*row) for row, _ in zip(rows, range(int(count)), strict=False)]
    return sorted(detections, key=lambda detection: -detection.score)


def _detection(name: object, box: object, score: object) -> Detection:
    numbers = [score, *(box if isinstance(box, list) else [])]
    if not isinstance(name, str) or len(numbers) != 5:
        raise ProtocolError(f"AutoML: a detection of {name!r:.60} with the box {box!r:.100}")
    if not all(map(_is_finite, numbers)):
        raise ProtocolError(f"AutoML: {name!r:.60} has box {box!r:.100} and score {score!r:.40}, not finite numbers")
    sure, min_y, min_x, max_y, max_x = (float(number) for number in numbers)
    return Detection(name.strip().lower(), sure, min_x, max_x, min_y, max_y)


def _is_finite(number: object) -> TypeGuard[int | float]:
    """JSON knows integers that no float can hold."""
    try:
        return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    except OverflowError:
        return False


def result_of(detections: Sequence[Detection], threshold: float, scanned: int) -> LoopResult:
    """The loop among detections: of the best few, the best loop and the best pin.

    The tip is at the middle of the box's right edge, as a box tells no more; the fibre's width is not known, 0.

    Args:
        detections: best first.
        threshold: a loop's least score.
        scanned: how many are looked at.
    """
    best = detections[:scanned]
    if not best or best[0].score < threshold:
        return LoopResult(message="nothing", score=best[0].score if best else 0.0)
    pin = next((d for d in best if d.name == "pin"), None)
    loop = next((d for d in best if d.name in LOOPS), None)
    bare = LoopResult(message="nothing", score=loop.score if loop else 0.0)
    if pin is not None:
        bare = replace(bare, message="no_loop", pin_base_x=pin.max_x, pin_min_y=pin.min_y, pin_max_y=pin.max_y)
    if loop is None or loop.score < threshold:
        return bare
    return replace(
        bare,
        found=True,
        message="",
        tip_x=loop.max_x,
        tip_y=(loop.min_y + loop.max_y) / 2,
        loop_width=loop.max_y - loop.min_y,
        loop_width_x=loop.max_x - loop.min_x,
        box_min_x=loop.min_x,
        box_max_x=loop.max_x,
        box_min_y=loop.min_y,
        box_max_y=loop.max_y,
        kind=loop.name,
    )


def detections_in(result: LoopResult, pin_side: str = "left") -> list[Detection]:
    """What a result of ours shows, as such a service says it; the pin's box reaches to its edge of the picture."""
    found = []
    if result.found:
        box = (result.box_min_x, result.box_max_x, result.box_min_y, result.box_max_y)
        found.append(Detection(result.kind, result.score, *box))
    if result.pin_max_y > result.pin_min_y:
        near, far = (0.0, result.pin_base_x) if pin_side == "left" else (result.pin_base_x, 1.0)
        found.append(Detection("pin", result.score, near, far, result.pin_min_y, result.pin_max_y))
    return found
