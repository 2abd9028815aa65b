"""A calibration that the server reads by itself: a file, and the mask files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.limited_file import read_limited
from devices.drivers.saxs_calibration import read_calibration
from devices.saxs.results import Attachment
from devices.saxs.run import MAX_MASK_BYTES


def read_source(file: Path, allowed: AllowedFolders | None) -> tuple[Mapping[str, Any], list[Attachment]]:
    """The content of a calibration file, and of the masks that it names.

    Args:
        allowed: what the calibration and its masks are confined to; None for files that the facility itself names.
    Raises:
        ConfigurationError: wrong entries, with their keys. NotAllowedError: a file is outside the folders.
    """
    if allowed is not None:
        file = allowed.resolve(file)
    calibration = read_calibration(file)
    attachments = []
    for index, mask in enumerate(calibration.masks):
        if mask.file is not None:
            mask_file = mask.file if allowed is None else allowed.resolve(mask.file)
            try:
                attachments.append(Attachment(str(mask_file), read_limited(mask_file, MAX_MASK_BYTES)))
            except BadValueError as error:
                raise ConfigurationError(str(file), [f"Masks[{index}].MaskFile: {error}"]) from error
    return calibration.document, attachments
