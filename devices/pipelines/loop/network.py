"""The small network that finds points of a loop in a picture; the file of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

#: What a picture shows, in the order of the network's logits; ``cut``: a loop that reaches over the picture's edge.
CLASSES: Final = ("nylon", "mitegen", "pin", "nothing", "cut")
#: Points in the order of the network's maps: those of the loop, then the corners of the pin's end.
POINTS: Final = ("tip", "root", "top", "bottom", "pin_upper", "pin_lower")
#: Both networks, trained by `devices.pipelines.loop.train`.
SHIPPED: Final = Path(__file__).with_name("weights.npz")


class LoopNetwork(nn.Module):
    """Maps of where each point is, a class, and whether the pin is in view; 111 thousand weights.

    Input (picture, 1, row, column), rows and columns multiples of 8; as many cells are looked at for ``stride`` 2 with
    four times the pixels.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stem = _layer(1, 16, 5, stride)
        self.fine = _layer(16, 20)
        self.middle = nn.Sequential(_layer(20, 32, stride=2), _layer(32, 32))
        self.coarse = nn.Sequential(
            _layer(32, 48, stride=2), _layer(48, 48), _layer(48, 48, dilation=2), _layer(48, 48)
        )
        self.to_middle = nn.Conv2d(48, 32, 1)
        self.back_middle = _layer(32, 32)
        self.to_fine = nn.Conv2d(32, 20, 1)
        self.back_fine = _layer(20, 20)
        self.maps = nn.Conv2d(20, len(POINTS), 1)
        self.verdict = nn.Linear(96, len(CLASSES) + 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points, logits and maps.

        Returns:
            Points (picture, point, x and y) as fractions of the picture; logits (picture, class, and pin in view);
            logarithms of maps (picture, point, cell row, cell column).
        """
        fine = self.fine(self.stem(pictures))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        pooled = torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3))], 1)
        middle = self.back_middle(middle + _larger(self.to_middle(coarse), middle))
        fine = self.back_fine(fine + _larger(self.to_fine(middle), fine))
        maps = self.maps(fine)
        log_maps = functional.log_softmax(maps.flatten(2), 2).view(maps.shape)
        density = log_maps.exp()
        rows, columns = maps.shape[2:]
        x = ((torch.arange(columns) + 0.5) / columns * density.sum(2)).sum(2)
        y = ((torch.arange(rows) + 0.5) / rows * density.sum(3)).sum(2)
        return torch.stack([x, y], 2), self.verdict(pooled), log_maps


def _layer(inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (size // 2)
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _larger(part: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(part, size=like.shape[2:], mode="bilinear", align_corners=False)


def networks() -> tuple[LoopNetwork, LoopNetwork]:
    """Untrained: the one that looks at the whole picture, and the one that looks at the loop closely."""
    return LoopNetwork(stride=2), LoopNetwork(stride=1)


def save_networks(path: str | Path, whole: LoopNetwork, close: LoopNetwork, record: str) -> None:
    """Write both with the record of their training; numbers have 16 bits, nothing is pickled."""
    arrays = {
        f"{name}.{key}": value.numpy().astype(np.float16)
        for name, network in (("whole", whole), ("close", close))
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    np.savez_compressed(path, allow_pickle=False, record=np.array(record), **arrays)


def load_networks(path: str | Path = SHIPPED) -> tuple[LoopNetwork, LoopNetwork]:
    """Both networks, ready to look; nothing in the file is executed."""
    pair = networks()
    with np.load(path, allow_pickle=False) as file:
        for name, network in zip(("whole", "close"), pair, strict=True):
            state = {
                key: torch.from_numpy(file[f"{name}.{key}"].astype(np.float32))
                for key in network.state_dict()
                if not key.endswith("num_batches_tracked")
            }
            network.load_state_dict(state, strict=False)
            network.eval()
    return pair
