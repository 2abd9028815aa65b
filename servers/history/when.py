"""A moment as a person types it: ``now``, ``2 h ago``, ``2026-11-21 14:30``, ``1795271400``."""

from __future__ import annotations

import re
from datetime import datetime

from devices.core.errors import BadValueError
from servers.facility.duration import seconds_of


def moment_s(text: str, now_s: float) -> float:
    """Seconds since 1970.

    Args:
        text: ``now``, a time ago, ISO 8601 (local time unless it says otherwise), or seconds since 1970.
        now_s: what ``now`` means.

    Raises:
        BadValueError: it is none of these.
    """
    text = text.strip()
    if text == "now":
        return now_s
    if ago := re.fullmatch(r"(.+?)\s+ago", text):
        return now_s - seconds_of(ago[1])
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise BadValueError(
            f"{text!r} is not a moment: now, 2 h ago, 2026-11-21T14:30 (local time), 2026-11-21T14:30Z, or seconds "
            f"since 1970"
        ) from None
