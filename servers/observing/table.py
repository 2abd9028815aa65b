"""A script as a table: what is done when, how high it stands then, and what the telescope would refuse."""

from __future__ import annotations

import time
from typing import Any

from rich.table import Table
from rich.text import Text


def timetable_table(found: dict[str, Any]) -> Table:
    """The answer of the observer's ``timetable``."""
    table = Table(
        title=f"{found['script']}: {found['images']} images in {duration(found['seconds'])}", title_justify="left"
    )
    for name in ("row", "begins UTC", "what"):
        table.add_column(name, no_wrap=name != "what")
    for name in ("altitude", "airmass", "takes"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("limits", style="red")
    for step in found["steps"]:
        table.add_row(
            str(step["row"]),
            clock(step["begins"]),
            Text(step["text"]),  # a target may be called [red]
            "" if step["altitude"] is None else f"{step['altitude']:.1f}",
            "" if step["airmass"] is None else f"{step['airmass']:.2f}",
            duration(step["ends"] - step["begins"]),
            Text("; ".join(step["violations"])),
        )
    return table


def clock(unix_seconds: float) -> str:
    """The time of day, UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(unix_seconds))


def duration(seconds: float) -> str:
    """As people say it: 45 s, 12:30, 3:05:00."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10.0 else f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
