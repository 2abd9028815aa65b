"""A loop found by the trained networks: a look at the whole picture, then a close one."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from devices.pipelines.loop.network import CLASSES, LoopNetwork, load_networks
from devices.pipelines.loop.sighting import Sighting
from devices.pipelines.loop.view import Window, close_view, whole_view

LOOPS: Final = [CLASSES.index("nylon"), CLASSES.index("mitegen")]

Points = NDArray[np.float64]


def find(picture: Image.Image) -> Sighting:
    """The loop on the pin that comes from the left.

    The close look measures, and says which kind it is; both must see a loop.
    """
    whole, close = _networks()
    points, classes, in_view = _asked(whole, whole_view(picture))
    points = points * picture.size
    pin = (float(points[4:, 0].mean()), float(points[4, 1]), float(points[5, 1])) if in_view > 0.5 else None
    shown = float(classes[LOOPS].sum())
    if shown < 0.5:
        name = CLASSES[int(np.argmax(classes))]
        # Neither kind of loop alone may be what is most likely, but both together are not.
        kind = name if CLASSES.index(name) not in LOOPS else "nothing"
        return Sighting("pin" if kind == "nothing" and pin else kind, 1.0 - shown, pin=pin)
    window = Window.around(_box(points))
    points, classes, _ = _asked(close, close_view(picture, window))
    points = points * [window.width, window.height] + [window.x, window.y]
    kind = CLASSES[LOOPS[int(np.argmax(classes[LOOPS]))]]
    score = min(shown, float(classes[LOOPS].sum()))
    return Sighting(kind, score, (float(points[0, 0]), float(points[0, 1])), _box(points), pin)


def _box(points: Points) -> tuple[float, float, float, float]:
    top, bottom = sorted((float(points[2, 1]), float(points[3, 1])))
    return float(min(points[1, 0], points[0, 0] - 1.0)), float(points[0, 0]), top, max(bottom, top + 1.0)


def _asked(network: LoopNetwork, view: NDArray[np.float32]) -> tuple[Points, Points, float]:
    """Points as fractions of the view, probabilities of the classes, and of the pin's end being in view."""
    with torch.inference_mode():
        inputs = torch.from_numpy(view)[None, None].contiguous(memory_format=torch.channels_last)
        points, logits, _ = network(inputs)
        classes = torch.softmax(logits[0, :-1], 0)
        pin = torch.sigmoid(logits[0, -1])
        return points[0].double().numpy(), classes.double().numpy(), float(pin)


@lru_cache(maxsize=1)
def _networks() -> tuple[LoopNetwork, LoopNetwork]:
    whole, close = load_networks()
    for network in (whole, close):
        _fuse(network)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return whole, close


def _fuse(module: nn.Module) -> None:
    """Put each normalization into the convolution before it: the same numbers in three quarters of the time."""
    for part in module.children():
        if isinstance(part, nn.Sequential) and isinstance(part[0], nn.Conv2d) and isinstance(part[1], nn.BatchNorm2d):
            part[0] = fuse_conv_bn_eval(part[0], part[1])
            del part[1]
        else:
            _fuse(part)
