"""Types of images: whether the shutter opens, whether lamps burn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from devices.core.errors import RangeError

#: The built-in types, and whether the shutter opens for them.
SHUTTER_OPENS: Final = {"zero": False, "object": True, "flat": True, "dark": False, "ramp": True}

#: Types that want all lamps off.
WITHOUT_LAMPS: Final = frozenset({"zero", "dark", "flat"})


@dataclass(frozen=True)
class ImageType:
    """One type.

    Attributes:
        name: lower case.
        opens_shutter: during the integration.
        is_comparison: lamps of this name burn.
    """

    name: str
    opens_shutter: bool = True
    is_comparison: bool = False

    @property
    def keyword(self) -> str:
        """What IMAGETYP says."""
        return "comp" if self.is_comparison else self.name

    @property
    def opens_during_readout(self) -> bool:
        """A ramp is a light that each row sees longer than the one before."""
        return self.name == "ramp"


def image_type(name: str, comparisons: Iterable[str]) -> ImageType:
    """The type of this name, upper or lower case.

    Args:
        comparisons: the lamps of the instrument.
    Raises:
        RangeError: there is none; the text lists all.
    """
    wanted = name.strip().casefold()
    if wanted in SHUTTER_OPENS:
        return ImageType(wanted, SHUTTER_OPENS[wanted])
    lamps = [each.casefold() for each in comparisons]
    if wanted in lamps:
        return ImageType(wanted, is_comparison=True)
    known = ", ".join([*SHUTTER_OPENS, *lamps])
    raise RangeError(f"image_type = {name!r} is none of {known}")
