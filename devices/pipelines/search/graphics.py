"""The search by torch, meant for a graphics card: every trial of every sample is a row of one matrix product."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from devices.pipelines.search.drift import MARGIN, Shift
from devices.pipelines.search.engine import Engine, Shape, Sigma, Significances, Window
from devices.pipelines.search.noise import CLIP, LEFT, ROUNDS
from devices.pipelines.search.padding import padded_length, padded_psf, quick_length
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.spatial_filter import edge_scale
from devices.pipelines.search.weights import Weights

#: Pixels in one product.
PIXELS = 16_384


class GraphicsEngine(Engine):
    """Gulps stay in the card's memory; `use_fft`, sub-images and threads do not matter here.

    Args:
        psf: of unit energy, axes (channel, y, x); None: images are not filtered.
        device: of torch: "cuda", "cuda:1", "cpu".
    """

    def __init__(
        self, shape: Shape, weights: Weights, settings: SearchSettings, psf: NDArray[np.float32] | None, device: str
    ) -> None:
        super().__init__(shape, weights, settings)
        self._device = torch.device(device)
        self._residual = torch.zeros((len(self.order), *shape), device=self._device)
        self._filtered = self._residual if psf is None else torch.zeros_like(self._residual)
        self._cube = self._residual[0]
        rows = [weights.matrix(dm, shape[1]) for dm in range(len(weights.delay))]
        # Axes (dm, width, last sample, channel, sample).
        self._matrix = self._there(np.stack(rows))
        self._psf = None if psf is None else self._spectra(psf)

    def _there(self, values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def _spectra(self, psf: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
        size = self.shape[2:]
        padded = (padded_length(size[0], psf.shape[1]), padded_length(size[1], psf.shape[2]))
        planes = self._there(np.stack([padded_psf(plane, padded) for plane in psf]))
        return torch.fft.rfft2(planes).conj().resolve_conj(), self._there(edge_scale(psf, size)), padded

    def close(self) -> None:
        """The memory goes with the tensors."""

    def take(self, cube: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        self._cube = torch.from_numpy(cube).to(self._device)
        values = self._strided(self._cube)
        first = values[:, :1] if values.shape[1] > 1 else values[:, :, :1, :1]
        varies = (values != first).flatten(1).any(1)
        return np.asarray(self._cube.mean(1).cpu().numpy()), np.asarray(varies.cpu().numpy())

    def store(self, slot: int, level: NDArray[np.float32]) -> tuple[Sigma, Sigma]:
        residual, filtered = self._residual[slot], self._filtered[slot]
        torch.sub(self._cube, self._there(level)[:, None], out=residual)
        alive = self.alive[slot]
        if self._psf is not None:
            spectra, scale, padded = self._psf
            for channel in np.flatnonzero(alive):
                spectrum = torch.fft.rfft2(residual[channel], s=padded) * spectra[channel]
                whole = torch.fft.irfft2(spectrum, s=padded)[:, : self.shape[2], : self.shape[3]]
                torch.mul(whole, scale[channel], out=filtered[channel])
        raw = np.where(alive, self._sigma(residual), np.nan)
        return raw, raw if self._psf is None else np.where(alive, self._sigma(filtered), np.nan)

    def _strided(self, images: torch.Tensor) -> torch.Tensor:
        stride = self.noise_stride()
        return images[:, :, ::stride, ::stride]

    def _sigma(self, images: torch.Tensor) -> Sigma:
        """`robust_sigma` of every channel."""
        values = self._strided(images).flatten(1)
        values = values - values.median(dim=1, keepdim=True).values
        size = values.abs()
        sigma = 1.4826 * size.median(dim=1, keepdim=True).values
        sigma = torch.where(sigma > 0, sigma, values.square().mean(1, keepdim=True).sqrt())
        for _ in range(ROUNDS):
            within = size <= CLIP * sigma
            kept = within.sum(1, keepdim=True).clamp(min=1)
            sigma = (torch.where(within, values, 0.0).square().sum(1, keepdim=True) / kept / LEFT).sqrt()
        sigma = torch.where(values.isfinite().all(1, keepdim=True), sigma, torch.nan)
        return np.asarray(sigma[:, 0].cpu().numpy(), np.float64)

    def pixel_power(self, slot: int, weight: Sigma) -> NDArray[np.float32]:
        images = self._filtered[slot][torch.from_numpy(weight > 0).to(self._device)]
        squares = self._there(np.asarray(weight[weight > 0] ** 2, np.float32))
        return np.asarray(torch.einsum("ctyx,ctyx,c->yx", images, images, squares).cpu().numpy() / self.shape[1])

    def search(
        self, weight: Sigma, variance: Sigma, doubt: NDArray[np.float32], pixel_noise: NDArray[np.float32]
    ) -> Significances:
        channels = np.flatnonzero(weight)
        count = self.weights.reach + self.shape[1]
        gulps = self._in_order(channels, count)
        weights = self._there(np.asarray(weight[channels], np.float32))[:, None]
        matrix = self._matrix[:, :, :, torch.from_numpy(channels).to(self._device)] * weights
        widths = self._there(np.asarray(self.weights.widths, np.float32))[:, None]
        variances = self._there(np.asarray(variance, np.float32))[..., None]
        doubts, noise = self._there(doubt.reshape(len(doubt), -1)), self._there(pixel_noise.reshape(-1))
        pixels = self.shape[2] * self.shape[3]
        dms = len(self.weights.delay)
        batch = -(-dms // self.settings.dm_batches)
        best = torch.full((4, pixels), -torch.inf, device=self._device)
        voxels: list[torch.Tensor] = []
        for start in range(0, pixels, PIXELS):
            tile = slice(start, min(pixels, start + PIXELS))
            for first in range(0, dms, batch):
                part = slice(first, min(dms, first + batch))
                sums = matrix[part].flatten(3).flatten(0, 2) @ gulps[:, tile]
                greatest, last = sums.view(-1, len(widths), self.shape[1], sums.shape[1]).max(dim=2)
                doubted = doubts[:, tile] * widths**2
                of_sum = variances[part] + doubted
                told = of_sum > 0.02 * variances[part]
                at_most = variances[part] ** 2 / (-4.0 * doubted)  # as `variance_of_sums` says
                of_sum = torch.where(variances[part] + 2.0 * doubted < 0.0, at_most, of_sum)
                snr = greatest / (of_sum.clamp(min=1e-30).sqrt() * noise[tile])
                snr = torch.where(told & snr.isfinite(), snr, -torch.inf)
                sample = last - (widths.long() - 1)
                top, trial = snr.flatten(0, 1).max(0)
                here = torch.stack([top, first + trial // len(widths), trial % len(widths), _at(sample, trial)])
                best[:, tile] = torch.where(top > best[0, tile], here, best[:, tile])
                places = ((snr >= self.settings.threshold) & snr.isfinite()).nonzero()
                dm, width, pixel = places.T
                at = snr[dm, width, pixel], dm + first, width, sample[dm, width, pixel], pixel + start
                # Pixels and trials are whole numbers below 2^24 or 2^53: they are exact.
                voxels.append(torch.stack([column.double() for column in at]).cpu())
        return self._found(best, torch.cat(voxels, dim=1))

    def _in_order(self, channels: NDArray[np.intp], count: int) -> torch.Tensor:
        """The last samples of all gulps; axes (channel and sample, pixel)."""
        index = torch.from_numpy(channels).to(self._device)
        parts = []
        for slot in self.order:
            alive = torch.from_numpy(self.alive[slot][channels]).to(self._device)
            parts.append(torch.where(alive[:, None, None, None], self._filtered[slot][index], 0.0))
        return torch.cat(parts, dim=1)[:, -count:].flatten(0, 1).flatten(1)

    def _found(self, best: torch.Tensor, voxels: torch.Tensor) -> Significances:
        size = self.shape[2:]
        snr, dm, width, sample = best.cpu().numpy().reshape(4, *size)
        nowhere = np.isinf(snr)
        dm, width, sample = (np.where(nowhere, 0.0, values) for values in (dm, width, sample))
        voxel_snr, *rest = voxels.numpy()
        at_dm, at_width, at_sample, pixel = (values.astype(np.int32) for values in rest)
        places = np.stack([pixel // size[1], pixel % size[1], at_dm, at_width, at_sample], axis=1)
        return Significances(
            snr.copy(),
            dm.astype(np.uint8),
            width.astype(np.uint8),
            sample.astype(np.int16),
            places,
            voxel_snr.astype(np.float32),
        )

    def move_slot(self, slot: int, shift_px: Shift, first: int) -> None:
        images = self._filtered[slot, :, first:]
        images[...] = _shifted(_shifted(images, shift_px[1]).mT, shift_px[0]).mT
        if self._psf is None:
            self.moved[slot] = (0.0, 0.0)

    def residual(self, slot: int, channels: NDArray[np.intp], window: Window) -> NDArray[np.float32]:
        part = self._residual[slot][:, :, window[0], window[1]]
        return np.asarray(part[torch.from_numpy(channels).to(self._device)].cpu().numpy())


def _at(sample: torch.Tensor, trial: torch.Tensor) -> torch.Tensor:
    return sample.flatten(0, 1).gather(0, trial[None])[0]


def _shifted(images: torch.Tensor, shift: float) -> torch.Tensor:
    """`drift.shifted` along the last axis."""
    size, whole = images.shape[-1], math.ceil(abs(shift))
    if not shift:
        return images
    if whole >= size:
        return torch.zeros_like(images)
    padded = quick_length(size + 2 * (MARGIN + whole))
    margin = (padded - size) // 2
    ends = (margin, padded - size - margin)
    lines = torch.nn.functional.pad(images.reshape(-1, 1, size), ends, mode="replicate")
    phase = torch.exp(-2j * math.pi * torch.fft.rfftfreq(padded, dtype=torch.float64) * shift)
    phase[-1] = math.cos(math.pi * shift)
    moved = torch.fft.irfft(torch.fft.rfft(lines) * phase.to(torch.complex64).to(images.device), padded)
    moved = moved[..., margin : margin + size].reshape(images.shape).clone()
    if shift > 0:
        moved[..., :whole] = 0.0
    else:
        moved[..., size - whole :] = 0.0
    result: torch.Tensor = moved
    return result
