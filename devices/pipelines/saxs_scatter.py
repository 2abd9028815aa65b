"""The inner loop of the azimuthal integration: every valid pixel of a frame added to the radial bins it touches."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from devices.pipelines.saxs_geometry import LANES


@intrinsic
def _add_lanes(typing_context: Any, sums: Any, row: Any, weights: Any, pattern: Any, value: Any) -> Any:
    """sums[row, :] += weights[pattern, :] * value as one vector operation, which numba does not find by itself (2x)."""
    vector = ir.VectorType(ir.DoubleType(), LANES)
    all_first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def row_of(array_type: Any, array: Any, index: Any) -> Any:
            data = context.make_array(array_type)(context, builder, array).data
            start = builder.gep(data, [builder.mul(index, ir.Constant(index.type, LANES))])
            return builder.bitcast(start, vector.as_pointer())

        sums, row, weights, pattern, value = arguments
        total = row_of(signature.args[0], sums, row)
        weight = builder.load(row_of(signature.args[2], weights, pattern), align=8)
        undefined = ir.Constant(vector, ir.Undefined)
        values = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        values = builder.shuffle_vector(values, undefined, all_first)
        # Multiply and add may fuse: exact for integers anyway.
        product = builder.fmul(weight, values, flags=("contract",))
        builder.store(builder.fadd(builder.load(total, align=8), product, flags=("contract",)), total, align=8)
        return context.get_dummy_value()

    return types.void(sums, types.intp, weights, types.intp, types.float64), generate


@njit(cache=True, nogil=True)
def scatter(
    pixels: NDArray[Any],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: NDArray[np.integer[Any]],
    pattern: NDArray[np.integer[Any]],
    weights: NDArray[np.float64],
    gain: NDArray[np.float64] | None,
    lanes: NDArray[np.float64],
) -> None:
    """Add every valid pixel to its bins.

    Even and odd pixels have accumulators of their own, as neighbours often hit the same bin and would wait for each
    other. Indices are unsigned: signed ones cost a test for negative values at each access.

    Args:
        pixels: the frame, (rows * columns,).
        starts: the first pixel of every run of valid pixels, (runs,); `stops` the one after its last.
        first: the lowest bin of each valid pixel, (valid,).
        pattern: which row of `weights` each valid pixel has, (valid,).
        weights: sub-pixels in the bins first to first + 3, (patterns, 4).
        gain: a factor for each valid pixel, (valid,), or none.
        lanes: what to add to, (2 * bins, 4): [b, j] belongs to bin b + j, of even pixels, then of odd ones.
    """
    half = np.uint64(lanes.shape[0] // 2)
    k = np.uint64(0)
    for run in range(starts.size):
        for p in range(np.uint64(starts[run]), np.uint64(stops[run])):
            value = np.float64(pixels[p])
            if gain is not None:
                value *= gain[k]
            row = np.uint64(first[k]) + (k & np.uint64(1)) * half
            _add_lanes(lanes, np.intp(row), weights, np.intp(pattern[k]), value)  # type: ignore[call-arg]
            k += np.uint64(1)
