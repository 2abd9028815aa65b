"""The picture of an Alpaca camera as the pixels of a detector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ProtocolError


def as_raw(picture: NDArray[Any]) -> NDArray[Any]:
    """The same pixels as uint16, where all of them fit, or as int32: most drivers say int32 for 16 bits.

    Raises:
        ProtocolError: numbers that are no counts of a detector.
    """
    if picture.dtype in (np.uint16, np.uint32):
        return picture
    if not np.issubdtype(picture.dtype, np.integer):
        raise ProtocolError(f"the picture has pixels of the type {picture.dtype}, which no detector counts")
    least, most = int(picture.min()), int(picture.max())
    if least >= 0 and most <= np.iinfo(np.uint16).max:
        return picture.astype(np.uint16)
    if least >= np.iinfo(np.int32).min and most <= np.iinfo(np.int32).max:
        return picture.astype(np.int32, copy=False)
    raise ProtocolError(f"the picture has pixels in [{least}, {most}], beyond 32 bits")
