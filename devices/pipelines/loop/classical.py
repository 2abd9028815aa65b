"""A loop found by what is dark, connected and narrow: no training, for pictures without much noise."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from devices.pipelines.loop.scene import BEGINS
from devices.pipelines.loop.sighting import Sighting

#: It looks at pictures made smaller by this; clouds of light are told from pins in pictures smaller by LIGHT once more.
SMALL: Final = 2
LIGHT: Final = 4
#: Columns of the picture, small ones, within which the pin must touch its edge.
AT_EDGE: Final = 4

Grey = NDArray[np.float32]


def find(picture: Image.Image) -> Sighting:
    """The loop on the pin that comes from the left."""
    dark = darkness(picture)
    shape, certainty = _on_pin(dark)
    if shape is None:
        return Sighting("nothing", 1.0)
    columns = np.flatnonzero(shape.any(0))
    last = int(columns[-1])
    part = shape[:, : last + 1]
    top = part.argmax(0)
    bottom = part.shape[0] - part[::-1].argmax(0)
    widths = (bottom - top).astype(float)
    pin_end, fiber = _pin_end(widths)
    middle = slice(max(pin_end - 8, 0), max(pin_end - 2, 1))
    upper, lower = float(np.median(top[middle])), float(np.median(bottom[middle]))
    pin = (SMALL * float(pin_end), SMALL * upper, SMALL * lower) if pin_end >= 3 else None
    beyond = widths[pin_end + 2 :]
    if len(beyond) < 14 or beyond.max() < 1.35 * fiber + 1:
        return Sighting("pin", certainty, pin=pin)
    if last >= dark.shape[1] - 2:
        return Sighting("cut", certainty, pin=pin)
    widest = pin_end + 2 + int(np.argmax(beyond))
    wide = widths > fiber + BEGINS * (widths[widest] - fiber) + 0.5
    narrow = np.flatnonzero(~wide[:widest])
    root = int(narrow[-1]) + 1 if len(narrow) else pin_end
    loop = slice(root, last + 1)
    box = (root, last + 1, int(top[loop].min()), int(bottom[loop].max()))
    tip, edges = _refined(picture, *(SMALL * side for side in box))
    kind = _kind(dark[box[2] : box[3], box[0] : box[1]], shape[box[2] : box[3], box[0] : box[1]])
    return Sighting(kind, certainty, tip, (SMALL * float(root), tip[0], *edges), pin)


def darkness(picture: Image.Image) -> Grey:
    """How much light is missing, 0 to 1, in the small picture.

    The light without a sample is what a closing leaves, which takes away whatever is dark and narrower than a fifth of
    the picture.
    """
    grey = np.asarray(picture.reduce(SMALL), np.float32)
    low = np.asarray(picture.reduce(SMALL * LIGHT), np.float32)
    size = low.shape[1] // 5
    light = ndimage.grey_closing(ndimage.uniform_filter(low, 3), (size, size), mode="nearest")
    light = ndimage.uniform_filter(light, size // 2, mode="nearest")
    whole = Image.fromarray(light).resize(grey.shape[::-1], Image.Resampling.BILINEAR)
    dark = 1.0 - grey / np.maximum(np.asarray(whole), np.float32(1.0))
    return np.asarray(ndimage.gaussian_filter(dark, 0.8, mode="nearest", truncate=3.0))


def _on_pin(dark: Grey) -> tuple[NDArray[np.bool_] | None, float]:
    """What is dark and hangs together with something dark at the left edge; and how much darker than the noise."""
    some = dark[::3, ::3]
    middle = float(np.median(some))
    noise = 1.4826 * float(np.median(np.abs(some - middle)))
    excess = dark - middle
    # A pin is far darker than the corners of the picture.
    least = max(0.06, 3.0 * noise, 0.2 * float(excess[:, :AT_EDGE].max()))
    mask = _closed(np.pad(excess > least, 4, mode="edge"))
    # Between the pin's edges at the border lies its bright band; closed there, so that holes can be filled.
    edge = np.flatnonzero(mask[:, 4 : 4 + AT_EDGE].all(1))
    if len(edge):
        mask[edge[0] : edge[-1] + 1, :5] |= edge[-1] - edge[0] < 110 // SMALL
    labels, _ = ndimage.label(mask)
    taken = np.bincount(labels[4:-4, 4:-4].ravel(), excess.ravel(), minlength=1)
    at_edge = np.setdiff1d(labels[:, : 4 + AT_EDGE], [0])
    if not len(at_edge):
        return None, 0.0
    best = int(at_edge[np.argmax(taken[at_edge])])
    shape = _filled(np.asarray(labels == best))[4:-4, 4:-4]
    if shape.sum() < 60 or not shape[:, :AT_EDGE].any() or shape.any(0).sum() < 18:
        return None, 0.0
    depth = float(np.percentile(dark[shape], 85)) - middle
    if depth < 2.0 * least:
        return None, 0.0
    return shape, float(np.clip(1.0 - least / depth * 0.8, 0.0, 1.0))


def _closed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Gaps of up to four pixels bridged; shifts of whole arrays take a tenth of the time of scipy's morphology."""
    return ~_grown(~_grown(mask))


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    for _ in range(2):
        mask = mask.copy()
        mask[1:] |= mask[:-1].copy()
        mask[:-1] |= mask[1:].copy()
        mask[:, 1:] |= mask[:, :-1].copy()
        mask[:, :-1] |= mask[:, 1:].copy()
    return mask


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With what it surrounds."""
    labels, count = ndimage.label(~mask)
    outside = np.zeros(count + 1, bool)
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[border] = True
    outside[0] = False
    return np.asarray(~outside[labels])


def _pin_end(widths: NDArray[np.float64]) -> tuple[int, float]:
    """Where it falls to the fibre's width, and that width."""
    pin = float(np.median(widths[:10]))
    narrow = np.flatnonzero(widths < 0.6 * pin)
    if not len(narrow) or pin < 8:
        fiber = float(np.percentile(widths, 20))
        return (0, fiber) if pin < 8 else (len(widths), pin)
    fiber = float(np.percentile(widths[narrow[0] :], 20))
    ends = np.flatnonzero(widths[: narrow[0] + 4] > 0.5 * (pin + fiber))
    return (int(ends[-1]) + 1 if len(ends) else int(narrow[0])), fiber


def _refined(
    picture: Image.Image, left: int, right: int, top: int, bottom: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Tip and upper and lower edge to parts of a pixel, where the darkness of the outermost edge is at its half."""
    margin = 8
    x0, y0 = max(left - margin, 0), max(top - margin, 0)
    part = np.asarray(picture.crop((x0, y0, min(right + margin, picture.width), min(bottom + margin, picture.height))))
    light = np.float32(np.percentile(part, 90))
    dark = ndimage.gaussian_filter(1.0 - part.astype(np.float32) / light, 0.7, mode="nearest", truncate=3.0)
    tip_x, tip_y = _outer(dark)
    above, _ = _outer(dark[::-1].T)
    below, _ = _outer(dark.T)
    return (x0 + tip_x, y0 + tip_y), (y0 + dark.shape[0] - above, y0 + below)


def _outer(dark: Grey) -> tuple[float, float]:
    """How far to the right the dark reaches, and in which row, pixels from the corner."""
    level = 0.5 * float(np.percentile(dark.max(1), 60))
    over = dark > level
    reach = np.where(over.any(1), over.shape[1] - over[:, ::-1].argmax(1), 0)
    rows = np.flatnonzero(reach == reach.max())
    last = int(reach.max()) - 1
    inside = float(dark[rows, last].mean())
    outside = float(dark[rows, min(last + 1, dark.shape[1] - 1)].mean())
    step = (inside - level) / max(inside - outside, 1e-6)
    return last + 0.5 + float(np.clip(step, 0.0, 1.0)), float(rows.mean()) + 0.5


def _kind(dark: Grey, shape: NDArray[np.bool_]) -> str:
    """A micromount is a film with a hole: darker a little inside of its rim than at its lightest further in."""
    inside = ndimage.binary_erosion(shape, iterations=2)
    middle = ndimage.binary_erosion(inside, iterations=2)
    if middle.sum() < 12:
        return "nylon"
    film = float(np.median(dark[inside & ~middle]))
    return "mitegen" if film > float(np.percentile(dark[middle], 10)) + 0.06 else "nylon"
