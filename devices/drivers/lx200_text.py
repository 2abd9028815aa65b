"""Angles and times as Meade's LX200 protocol writes them.

Source:
    Meade, *Telescope Serial Command Protocol*, revision 2010.10; mounts that speak it write the degree sign as ``*``,
    ``:`` or the byte 0xDF, and the minutes' sign as ``'`` or ``:``.
"""

from __future__ import annotations

import re
from typing import Final

from devices.core.errors import BadValueError, ProtocolError

_HOURS: Final = re.compile(r"(\d{1,2}):(\d{2})(?:\.(\d)|:(\d{2})(\.\d+)?)?")
_DEGREES: Final = re.compile(r"([+-]?)(\d{1,3})[*:\xdf°](\d{2})(?:['’:](\d{2})(\.\d+)?'?)?")


def parse_hours(text: str) -> float:
    """Hours of ``HH:MM.T`` or ``HH:MM:SS``, with or without a fraction.

    Raises:
        ProtocolError: it is neither, or beyond 24 h.
    """
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ProtocolError(f"{text!r} is not HH:MM:SS or HH:MM.T")
    hours, minutes, tenths, seconds, fraction = found.groups()
    second = float(seconds or 0) + float(fraction or 0.0)
    total = int(hours) * 3600.0 + int(minutes) * 60.0 + int(tenths or 0) * 6.0 + second
    if int(minutes) > 59 or second >= 60.0 or total >= 86400.0:
        raise ProtocolError(f"{text!r} is not a time of day")
    return total / 3600.0


def parse_degrees(text: str) -> float:
    """Degrees of ``sDD*MM`` or ``sDD*MM'SS``.

    Raises:
        ProtocolError: it is neither, or beyond 360 degrees.
    """
    found = _DEGREES.fullmatch(text.strip())
    if found is None:
        raise ProtocolError(f"{text!r} is not sDD*MM'SS or sDD*MM")
    sign, degrees, minutes, seconds, fraction = found.groups()
    second = float(seconds or 0) + float(fraction or 0.0)
    total = int(degrees) * 3600.0 + int(minutes) * 60.0 + second
    if int(minutes) > 59 or second >= 60.0 or total > 360 * 3600.0:
        raise ProtocolError(f"{text!r} is not an angle")
    return (-total if sign == "-" else total) / 3600.0


def format_hours(hours: float, *, precise: bool = True) -> str:
    """``HH:MM:SS``, or ``HH:MM.T``; rounded once, 24 h are 0 h.

    Raises:
        BadValueError: outside [0, 24] h.
    """
    if not 0.0 <= hours <= 24.0:
        raise BadValueError(f"right ascension = {hours} h is outside [0, 24] h")
    if precise:
        seconds = round(hours * 3600.0) % 86400
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    tenths = round(hours * 600.0) % 14400
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def format_degrees(
    degrees: float, *, precise: bool = True, digits: int = 2, signed: bool = True, minute: str = "'"
) -> str:
    """``sDD*MM'SS``, or ``sDD*MM``; rounded once.

    Args:
        digits: of the degrees.
        minute: what stands behind the minutes; targets are sent with ``:``.
    Raises:
        BadValueError: beyond 360 degrees.
    """
    if not abs(degrees) <= 360.0:
        raise BadValueError(f"angle = {degrees} deg is outside [-360, 360] deg")
    sign = "-" if degrees < 0.0 else "+"
    if precise:
        seconds = round(abs(degrees) * 3600.0)
        tail = f"{seconds // 60 % 60:02d}{minute}{seconds % 60:02d}"
        whole = seconds // 3600
    else:
        minutes = round(abs(degrees) * 60.0)
        tail, whole = f"{minutes % 60:02d}", minutes // 60
    return f"{sign if signed else ''}{whole:0{digits}d}*{tail}"
