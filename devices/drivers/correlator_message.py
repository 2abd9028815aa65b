"""What correlator nodes say beside their pixels: the name of a message, and the flags of its receipt."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag
from typing import Final

from devices.core.errors import BadValueError

#: The tag of the one test client that plays all sub-bands.
TEST_TAG: Final = "_h23"
MAX_SUB_BANDS: Final = 100  # two digits
NAN: Final = math.nan

_NAME: Final = re.compile(
    r"/?(?P<tag>sb[0-9]{2}|_h23)_IMG(?P<isot>[^_/]+?)(?:_UV(?P<uv>[0-9a-fA-F]{16})_DE(?P<dec>[0-9a-fA-F]{16}))?\.npy",
    re.ASCII,
)
_ISOT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?", re.ASCII)
_MJD_ZERO: Final = datetime(1858, 11, 17)


class Receipt(IntFlag):
    """The digit that every answer ends with; nodes send a sub-band again on the first three."""

    ACCEPTED = 0
    PARSE_ERROR = 1  # the name or the header of the array cannot be read
    DATASIZE_ERROR = 2  # there are more or fewer bytes than the array has
    SHAPE_ERROR = 4  # the array has another shape than the instrument
    INVALID = 8  # the message is sound and was not used: late, no place, not allowed

    @property
    def again(self) -> bool:
        """Whether nodes send it again."""
        return bool(self & 7)


@dataclass(frozen=True)
class MessageName:
    """The name of a message, ``/sb03_IMG2026-11-21T03:12:04.215_UV..._DE....npy``; it is never a path.

    Attributes:
        sub_band: 0 is the highest frequency; None: the test client, which plays all of them.
        isot: when the gulp begins, UTC, as the node spelled it: the key of the gulp.
        uv_diag_m: longest baseline in the uv plane, m; NaN: not said.
        dec_deg: declination of the pointing; NaN: not said.
    """

    sub_band: int | None
    isot: str
    uv_diag_m: float = NAN
    dec_deg: float = NAN

    @classmethod
    def parse(cls, target: str) -> MessageName:
        """The target of a request.

        Raises:
            BadValueError: it is no such name, or its time or its numbers are impossible.
        """
        found = _NAME.fullmatch(target)
        if found is None:
            raise BadValueError(f"name = {target[:80]!r} is not sbNN_IMG<ISOT>[_UV<16 hex>_DE<16 hex>].npy")
        mjd_of(found["isot"])
        uv_diag_m, dec_deg = (NAN, NAN) if found["uv"] is None else (_double(found["uv"]), _double(found["dec"]))
        if math.isinf(uv_diag_m) or uv_diag_m <= 0.0:
            raise BadValueError(f"uv_diag = {uv_diag_m:g} m is not a length")
        if abs(dec_deg) > 90.0:
            raise BadValueError(f"declination = {dec_deg:g} deg is outside [-90, 90] deg")
        sub_band = None if found["tag"] == TEST_TAG else int(found["tag"][2:])
        return cls(sub_band, found["isot"], uv_diag_m, dec_deg)

    @property
    def mjd(self) -> float:
        """When the gulp begins, days UTC."""
        return mjd_of(self.isot)

    def target(self) -> str:
        """As it stands in a request: the short form where the node says nothing of its pointing."""
        tag = TEST_TAG if self.sub_band is None else f"sb{self.sub_band:02d}"
        if math.isnan(self.uv_diag_m) and math.isnan(self.dec_deg):
            return f"/{tag}_IMG{self.isot}.npy"
        return f"/{tag}_IMG{self.isot}_UV{_hex(self.uv_diag_m)}_DE{_hex(self.dec_deg)}.npy"


def mjd_of(isot: str) -> float:
    """``2026-11-21T03:12:04.215`` as a modified Julian date, days UTC.

    Raises:
        BadValueError: it is no such time.
    """
    if _ISOT.fullmatch(isot) is None:
        raise BadValueError(f"time = {isot[:40]!r} is not YYYY-MM-DDTHH:MM:SS.sss")
    whole, _, fraction = isot.partition(".")
    try:
        passed = datetime.fromisoformat(whole) - _MJD_ZERO
    except ValueError as error:
        raise BadValueError(f"time = {isot!r}: {error}") from None
    return passed.days + (passed.seconds + float(f"0.{fraction or 0}")) / 86400.0


def _double(digits: str) -> float:
    # Nodes spell the bytes of the number as their processors have them, the least significant one first.
    return float(struct.unpack("<d", bytes.fromhex(digits))[0])


def _hex(value: float) -> str:
    return struct.pack("<d", value).hex()
