"""De-dispersion, boxcars and significances of a sub-image, compiled for a processor.

Pixels are independent and lie beside each other in memory, so each step is one long vector operation over the samples
of a line of pixels, and no result depends on where an image was divided.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Pixels treated together, at most: their samples lie in the second cache, what is summed in the first.
LINE = 100


@njit(cache=True, nogil=True)
def search_block(  # type: ignore[no-untyped-def]
    gulps, order, alive, channels, delay, near, far, widths, variance, doubt, pixel_noise, threshold,
    first_row, last_row, first_column, last_column, snr, best_dm, best_width, best_sample,
):  # fmt: skip
    """Search a sub-image.

    Args:
        gulps: filtered; axes (slot, channel, sample, y, x).
        order: slots from the oldest to the one that is searched.
        alive: which channels of a slot count; the others are 0; axes (slot, channel).
        channels: indices of those that take part; an even number of them.
        delay, near, far: as in `Weights`, with the weights of channels; axes (dm, one of ``channels``).
        variance: of each trial's sum; axes (dm, width).
        doubt: of the baseline's sum over channels, per width squared; axes (width, y, x).
        pixel_noise: axes (y, x).
        snr, best_dm, best_width, best_sample: results, axes (y, x).
    Returns:
        Voxels over the threshold: (y, x, dm, width, sample) and their significance.
    """
    trials, samples, overlap = len(widths), gulps.shape[2], widths[-1] - 1
    length, before = overlap + samples, overlap + delay.max() + 1
    lines = -(-(last_column - first_column) // LINE)
    n = -(-(last_column - first_column) // lines)
    line = np.zeros((len(channels), before + samples, n), np.float32)
    single = np.zeros(length * n, np.float32)
    sums, spare = np.zeros_like(single), np.zeros_like(single)
    most, when = np.zeros(n, np.float32), np.zeros(n, np.int32)
    top, top_trial, top_when = np.zeros(n, np.float32), np.zeros(n, np.int32), np.zeros(n, np.int32)
    doubted, noise = np.zeros(n, np.float32), np.ones(n, np.float32)
    found, found_snr, count = np.empty((1024, 5), np.int32), np.empty(1024, np.float32), 0
    for y in range(first_row, last_row):
        for x in range(first_column, last_column, n):
            pixels = min(n, last_column - x)
            _gather(gulps, order, alive, channels, y, x, pixels, line)
            noise[:pixels] = pixel_noise[y, x : x + pixels]
            top[:] = -np.inf
            for k in range(delay.shape[0]):
                _dedisperse(line, delay[k], near[k], far[k], overlap, single)
                sums[:] = single
                summed = 1
                for w in range(trials):
                    while summed < widths[w]:
                        doubled = 2 * summed <= widths[w]
                        _add(sums, sums if doubled else single, summed * n, spare)
                        sums, spare = spare, sums
                        summed += summed if doubled else 1
                    _greatest(sums, overlap, most, when)
                    doubted[:pixels] = doubt[w, y, x : x + pixels]
                    _significance(most, variance[k, w], np.float32(summed * summed), doubted, noise)
                    over = False
                    for p in range(n):
                        over |= most[p] >= threshold
                        better = most[p] > top[p]
                        top[p] = most[p] if better else top[p]
                        top_when[p] = when[p] if better else top_when[p]
                        top_trial[p] = k * trials + w if better else top_trial[p]
                    if over:
                        for p in range(pixels):
                            if most[p] >= threshold and np.isfinite(most[p]):
                                if count == len(found):
                                    found, found_snr = _grown(found, found_snr)
                                found[count, 0] = y
                                found[count, 1] = x + p
                                found[count, 2] = k
                                found[count, 3] = w
                                found[count, 4] = when[p] - (summed - 1)
                                found_snr[count] = most[p]
                                count += 1
            for p in range(pixels):
                width = top_trial[p] % trials
                snr[y, x + p] = top[p]
                best_dm[y, x + p] = top_trial[p] // trials
                best_width[y, x + p] = width
                best_sample[y, x + p] = top_when[p] - (widths[width] - 1)
    return found[:count].copy(), found_snr[:count].copy()


@njit(cache=True, nogil=True)
def _gather(gulps, order, alive, channels, y, x, pixels, line):  # type: ignore[no-untyped-def]
    """All samples of a line of pixels, in their order; axes (one of channels, sample, pixel)."""
    samples = gulps.shape[2]
    before = line.shape[1] - samples * len(order)
    for c in range(len(channels)):
        for t in range(line.shape[1]):
            at = t - before
            slot = order[at // samples] if at >= 0 else -1
            if slot >= 0 and alive[slot, channels[c]]:
                source = gulps[slot, channels[c], at % samples, y]
                for p in range(pixels):
                    line[c, t, p] = source[x + p]
            else:
                line[c, t, :] = 0.0


@njit(cache=True, nogil=True, fastmath={"contract"})
def _dedisperse(line, delay, near, far, overlap, out):  # type: ignore[no-untyped-def]
    """Shift channels by their delay and sum them; axes (sample from ``-overlap``, pixel) as one."""
    channels, times, n = line.shape
    flat, size = line.reshape(line.size), out.size
    out[:] = 0.0
    for c in range(0, channels, 2):
        start = ((c + 1) * times - delay[c]) * n - size
        other = ((c + 2) * times - delay[c + 1]) * n - size
        in1, before1 = flat[start : start + size], flat[start - n : start - n + size]
        in2, before2 = flat[other : other + size], flat[other - n : other - n + size]
        near1, far1, near2, far2 = near[c], far[c], near[c + 1], far[c + 1]
        for i in range(size):
            out[i] += near1 * in1[i] + far1 * before1[i] + near2 * in2[i] + far2 * before2[i]


@njit(cache=True, nogil=True)
def _add(sums, added, back, out):  # type: ignore[no-untyped-def]
    """Widen sums by those, or by samples, that lie ``back`` before; a sum stands at its last sample."""
    out[:back] = sums[:back]
    here, earlier, total = sums[back:], added[: len(added) - back], out[back:]
    for i in range(len(total)):
        total[i] = here[i] + earlier[i]


@njit(cache=True, nogil=True)
def _greatest(sums, overlap, most, when):  # type: ignore[no-untyped-def]
    """The greatest sum that ends in the gulp, and its last sample."""
    n = len(most)
    most[:] = -np.inf
    when[:] = 0
    for t in range(len(sums) // n - overlap):
        now = sums[(overlap + t) * n : (overlap + t + 1) * n]
        for p in range(n):
            greater = now[p] > most[p]
            most[p] = now[p] if greater else most[p]
            when[p] = t if greater else when[p]


@njit(cache=True, nogil=True)
def _significance(most, variance, width_squared, doubt, noise):  # type: ignore[no-untyped-def]
    """Divide sums by their noise; a pulse that is too wide to be told from the baseline has none."""
    for p in range(len(most)):
        doubted = doubt[p] * width_squared
        of_sum = variance + doubted
        told = of_sum > np.float32(0.02) * variance
        if variance + 2 * doubted < 0:  # as `variance_of_sums` says
            of_sum = variance * variance / (-4 * doubted)
        value = most[p] / (np.sqrt(of_sum if told else variance) * noise[p])
        most[p] = value if told else -np.float32(np.inf)


@njit(cache=True, nogil=True)
def _grown(found, found_snr):  # type: ignore[no-untyped-def]
    more, more_snr = np.empty((2 * len(found), 5), np.int32), np.empty(2 * len(found), np.float32)
    more[: len(found)], more_snr[: len(found)] = found, found_snr
    return more, more_snr
