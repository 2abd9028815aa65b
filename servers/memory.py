"""Large blocks of memory are used again instead of being given back to the system.

The kernel needs several times as long to give out 32 MB anew, page by page, as the processor to copy them (measured: 40
and 5 ms), and a frame is copied into new memory twice on its way through Tango.
"""

from __future__ import annotations

import ctypes

KEPT_BYTES = 256 << 20  # free memory at the end of the heap that is kept

# malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_large_blocks() -> bool:
    """Keep what is freed, in one heap for all threads; to be called before there are many.

    Returns whether it could be done: with the GNU C library.

    Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {_ARENA_MAX: 1, _MMAP_MAX: 0, _TRIM_THRESHOLD: KEPT_BYTES}
    return all(result == 1 for result in [mallopt(option, value) for option, value in settings.items()])
