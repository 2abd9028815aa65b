"""How probable it is that a cut-out shows interference."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from devices.pipelines.candidates.networks import NETWORKS, EnhancedCNN, PulseNetwork

#: The small network, trained by `devices.pipelines.candidates.train`; without it there is none.
SHIPPED: Final = Path(__file__).with_name("weights.npz")
#: Cut-outs that go through a network together: the published ones need 30 MB each.
BATCH: Final = 32


@dataclass(frozen=True)
class Network:
    """A network that is ready to judge.

    Attributes:
        module: one of `devices.pipelines.candidates.networks`, in evaluation mode.
        slope, offset: the calibration: P(interference) = 1 / (1 + exp(-(slope * logit + offset))).
        record: of its training, JSON; "" where it is not known.
    """

    module: nn.Module
    slope: float = 1.0
    offset: float = 0.0
    record: str = ""

    @property
    def name(self) -> str:
        return type(self.module).__name__


def load_network(path: str | Path = SHIPPED, device: str = "cpu") -> Network:
    """A network from a file of weights: our own (.npz), or the state dict of a published one (.pt, .pth).

    Files are data: nothing in them is executed. State dicts of the published networks are not calibrated.

    Raises:
        ValueError: it is none of the networks, or layers have another shape; the text names them.
        OSError: the file cannot be read.
    """
    path = Path(path)
    if path.suffix == ".npz":
        return _load_own(path, device)
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises what its unpickler raises
        raise ValueError(f"{path} holds no weights that can be read safely: {error}") from error
    if not (isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise ValueError(f"{path} holds no state dict of a network")
    return Network(_module_of(path, state).to(device))


def save_network(path: str | Path, network: Network) -> None:
    """Write a small network with its calibration and record; numbers have 16 bits, nothing is pickled."""
    arrays = {name: value.detach().cpu().numpy() for name, value in network.module.state_dict().items()}
    small = {f"weights.{name}": array.astype(np.float16) for name, array in arrays.items()}
    calibration = np.array([network.slope, network.offset])
    np.savez_compressed(path, allow_pickle=False, calibration=calibration, record=np.array(network.record), **small)


def classify(
    cutouts: NDArray[np.floating], network: Network, widths: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """The probability that each cut-out shows interference, 0 to 1; it does not depend on what else is in the batch.

    Each cut-out is scaled to a mean of 0 and a standard deviation of 1. The small network looks at the 11 x 11 pixels
    in the middle (0 around smaller ones), the published ones at the whole, resized to 50 x 50. Bands of other than 16
    channels are resampled.

    Args:
        cutouts: de-dispersed and centred, axes (event, channel, sample, y, x); what is not finite counts as 0.
        widths: of the pulses, samples; axis: event. Networks of images see the mean of so many samples in the middle;
            None: of all.
    Raises:
        ValueError: it has other axes.
    """
    raw = logits(network.module, cutouts, widths)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(network.slope * raw + network.offset, -500.0, 500.0))))


def logits(
    module: nn.Module, cutouts: NDArray[np.floating], widths: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """What a network itself says of cut-outs, as in `classify`; axis: event."""
    if cutouts.ndim != 5 or 0 in cutouts.shape[1:]:
        raise ValueError(f"cut-outs have shape {cutouts.shape}, not (event, channel, sample, y, x)")
    device = next(module.parameters()).device
    said = [np.empty(0)]
    with torch.inference_mode():
        for first in range(0, len(cutouts), BATCH):
            part = slice(first, first + BATCH)
            batch = torch.from_numpy(np.nan_to_num(cutouts[part], posinf=0.0, neginf=0.0).astype(np.float32))
            inputs = _inputs(module, batch, None if widths is None else widths[part])
            said.append(module(inputs.to(device)).double().cpu().numpy())
    return np.concatenate(said)


def standard(cutouts: Tensor) -> Tensor:
    """Each cut-out with a mean of 0 and a standard deviation of 1 (0 where it is constant)."""
    deviation, mean = torch.std_mean(cutouts, (1, 2, 3, 4), keepdim=True)
    return (cutouts - mean) / torch.where(deviation > 0, deviation, 1.0)


def _inputs(module: nn.Module, cutouts: Tensor, widths: NDArray[np.integer] | None) -> Tensor:
    shape: tuple[int, ...] = type(module).input_shape  # type: ignore[attr-defined]
    if isinstance(module, EnhancedCNN):
        each = [None] * len(cutouts) if widths is None else widths.tolist()
        images = torch.stack([_middle(cutout, width) for cutout, width in zip(cutouts, each, strict=True)])
        return standard(_resampled(images[:, :, None], (shape[0], 1, *shape[1:])))[:, :, 0]
    if isinstance(module, PulseNetwork):
        cutouts = _centred(_centred(cutouts, 3, shape[2]), 4, shape[3])
    return standard(_resampled(cutouts, shape))


def _middle(cutout: Tensor, width: int | None) -> Tensor:
    """The mean of so many samples in the middle; axes (channel, y, x)."""
    samples = cutout.shape[1]
    width = samples if width is None else min(max(width, 1), samples)
    first = (samples - width + 1) // 2
    return cutout[:, first : first + width].mean(1)


def _centred(cutouts: Tensor, axis: int, size: int) -> Tensor:
    """So many pixels about the middle one, which is that of index size // 2; 0 outside."""
    first = cutouts.shape[axis] // 2 - size // 2
    last = first + size - cutouts.shape[axis]
    padding = [0, 0] * (4 - axis) + [-first, last]
    return functional.pad(cutouts, padding)


def _resampled(cutouts: Tensor, shape: tuple[int, ...]) -> Tensor:
    channels, *others = shape
    if cutouts.shape[1] != channels:
        nearest = torch.arange(channels) * cutouts.shape[1] // channels
        cutouts = cutouts[:, nearest]
    if list(cutouts.shape[2:]) == others:
        return cutouts
    return functional.interpolate(cutouts, size=others, mode="trilinear", align_corners=False)


def _load_own(path: Path, device: str) -> Network:
    try:
        with np.load(path, allow_pickle=False) as file:
            state = {
                name.removeprefix("weights."): torch.from_numpy(file[name].astype(np.float32))
                for name in file.files
                if name.startswith("weights.")
            }
            slope, offset = (float(value) for value in file["calibration"])
            record = str(file["record"])
            json.loads(record or "{}")
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no weights of a network: {error}") from error
    return Network(_module_of(path, state).to(device), slope, offset, record)


def _module_of(path: Path, state: dict[str, Tensor]) -> nn.Module:
    """The network that a state dict belongs to: the one with the same names, if shapes agree, too."""
    for made in NETWORKS:
        with torch.device("meta"):
            shapes = {name: value.shape for name, value in made().state_dict().items()}
        if shapes.keys() != state.keys():
            continue
        wrong = [
            f"{n} is {tuple(state[n].shape)}, not {tuple(shapes[n])}" for n in shapes if state[n].shape != shapes[n]
        ]
        if wrong:
            raise ValueError(f"{path} has layers of other shapes than {made.__name__}: {'; '.join(wrong)}")
        module = made()
        module.load_state_dict(state)
        return module.eval()
    names = ", ".join(made.__name__ for made in NETWORKS)
    raise ValueError(f"{path} has layers {', '.join(sorted(state))}; they are of none of the networks {names}")
