"""The training of the small network, on simulated cut-outs; new ones come with each step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from devices.pipelines.candidates.classify import Network, logits, standard
from devices.pipelines.candidates.networks import PulseNetwork
from devices.pipelines.candidates.simulation import RFI, Events, simulate

#: Between the seeds of events to learn from, to calibrate with and to test with; a training has fewer batches.
FAR: Final = 10_000_000


@dataclass(frozen=True)
class TrainSettings:
    """How the small network is trained.

    Attributes:
        seed: of the weights; of events: those of another seed are all others.
        steps: batches to learn from; each is simulated anew.
        batch: events of a batch.
        repeated: earlier batches that are learnt from again with each, turned or mirrored, of the last ``remembered``.
        learning_rate: of Adam, at the beginning; falls to 0 as a cosine.
        held_out: events for the calibration, and as many others for the test.
        least_snr, greatest_snr: significances that are simulated, sigma.
        threads: of torch.
    """

    seed: int = 1
    steps: int = 1000
    batch: int = 64
    repeated: int = 3
    remembered: int = 100
    learning_rate: float = 2e-3
    held_out: int = 4000
    least_snr: float = 7.0
    greatest_snr: float = 60.0
    threads: int = 2

    def events(self, index: int) -> Events:
        """The batch of this index."""
        return simulate(self.batch, 3 * FAR * self.seed + index, (self.least_snr, self.greatest_snr))


@dataclass(frozen=True)
class Verdicts:
    """What a network says of events, and what they are; one axis: event.

    Attributes:
        logits: before the calibration.
        is_rfi, kinds, snr: as in `devices.pipelines.candidates.simulation.Events`.
    """

    logits: NDArray[np.float64]
    is_rfi: NDArray[np.bool_]
    kinds: NDArray[np.str_]
    snr: NDArray[np.float64]


def train(
    settings: TrainSettings,
    progress: Callable[[float], None] = lambda part: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Network:
    """A trained and calibrated network; `Network.record` says how it did on events that it had not seen.

    The same settings on the same machine give the same network.

    Args:
        progress: gets the part that is done, 0 to 1.
        stopped: asked before each step; True ends the learning, and the network is calibrated as it is.
    """
    began = time.process_time()
    with _torch_threads(settings.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        module = PulseNetwork()
        steps = _learn(module, settings, lambda part: progress(0.85 * part), stopped)
        module.eval()
        # Weights as the file keeps them, so that what is found here is true of what is shipped.
        for weights in module.parameters():
            weights.data = weights.data.half().float()
        slope, offset = _calibrate(judge(module, settings, FAR))
        test = judge(module, settings, 2 * FAR)
    record = asdict(settings) | {"steps_done": steps} | report(test, slope, offset)
    record["cpu_seconds"] = round(time.process_time() - began)
    progress(1.0)
    return Network(module, slope, offset, json.dumps(record))


def _learn(
    module: PulseNetwork, settings: TrainSettings, progress: Callable[[float], None], stopped: Callable[[], bool]
) -> int:
    optimizer = torch.optim.Adam(module.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    rng = np.random.default_rng(settings.seed)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    for step in range(settings.steps):
        if stopped():
            return step
        events = settings.events(step)
        with torch.no_grad():
            images, spectra = module.views(standard(torch.from_numpy(events.cutouts)))
        seen.append((images, spectra, torch.from_numpy(events.is_rfi.astype(np.float32))))
        seen = seen[-settings.remembered :]
        again = rng.integers(0, len(seen), settings.repeated)
        images, spectra, truth = (torch.cat(parts) for parts in zip(seen[-1], *(seen[i] for i in again), strict=True))
        loss = functional.binary_cross_entropy_with_logits(module.judge(_turned(rng, images), spectra), truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress((step + 1) / settings.steps)
    return settings.steps


def _turned(rng: np.random.Generator, images: Tensor) -> Tensor:
    """Images turned and mirrored by chance: the sky has no up."""
    axes = [axis for axis in (2, 3) if rng.random() < 0.5]
    images = images.flip(axes) if axes else images
    return images.transpose(2, 3) if rng.random() < 0.5 else images


def judge(module: nn.Module, settings: TrainSettings, first: int) -> Verdicts:
    """What a network says of the batches from index ``first`` on, ``held_out`` events at least."""
    said, is_rfi, kinds, snr = [], [], [], []
    for index in range(first, first - (-settings.held_out // settings.batch)):
        events = settings.events(index)
        said.append(logits(module, events.cutouts, events.widths))
        is_rfi.append(events.is_rfi)
        kinds.append(np.array(events.kinds))
        snr.append(events.snr)
    return Verdicts(*(np.concatenate(parts) for parts in (said, is_rfi, kinds, snr)))


def report(verdicts: Verdicts, slope: float, offset: float) -> dict[str, Any]:
    """How a network does: accuracy (of all, of each kind, of weak ones), and whether probabilities are frequencies."""
    p = 1.0 / (1.0 + np.exp(-np.clip(slope * verdicts.logits + offset, -500.0, 500.0)))
    right = (p > 0.5) == verdicts.is_rfi
    of_kind = {kind: right[verdicts.kinds == kind] for kind in ("pulse", *RFI)}
    weak = right[verdicts.snr < 10.0]
    return {
        "events": len(p),
        "accuracy": round(float(right.mean()), 4),
        "accuracy_below_10_sigma": round(float(weak.mean()), 4) if len(weak) else None,
        "accuracy_of": {kind: round(float(found.mean()), 4) for kind, found in of_kind.items() if len(found)},
        "calibration_error": round(_calibration_error(p, verdicts.is_rfi), 4),
    }


def _calibration_error(p: NDArray[np.float64], is_rfi: NDArray[np.bool_], bins: int = 10) -> float:
    """The mean difference of probability and frequency over bins of probability, weighted by their events."""
    which = np.minimum((p * bins).astype(int), bins - 1)
    return float(sum(abs(np.sum(p[which == b]) - np.sum(is_rfi[which == b])) for b in range(bins)) / len(p))


def _calibrate(verdicts: Verdicts) -> tuple[float, float]:
    """Slope and offset of logits by maximum likelihood, by Newton's method.

    Targets are softened a little, as a network that is always right would else be infinitely sure (Platt's rule).
    """
    rfi = int(verdicts.is_rfi.sum())
    sky = len(verdicts.is_rfi) - rfi
    target = np.where(verdicts.is_rfi, (rfi + 1.0) / (rfi + 2.0), 1.0 / (sky + 2.0))
    x = np.stack([verdicts.logits, np.ones(len(target))])
    line = np.zeros(2)
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(line @ x, -500.0, 500.0)))
        step = np.linalg.solve((x * (p * (1.0 - p))) @ x.T + 1e-6 * np.eye(2), x @ (p - target))
        line = line - step
        if float(np.abs(step).max()) < 1e-9:
            break
    return float(line[0]), float(line[1])


def dated(network: Network, date: str) -> Network:
    """With the date of the training in its record, "2026-11-21"."""
    return replace(network, record=json.dumps({"date": date} | json.loads(network.record)))


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
