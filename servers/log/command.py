"""``diptych log``: the log of a facility in a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from devices.core.errors import UnknownNameError
from servers.log.entry import Entry, Level
from servers.log.folder import series_of
from servers.log.follower import Follower
from servers.log.newest import newest
from servers.log.question import question_of

PERIOD_S: Final = 0.25
COLORS: Final = {Level.DEBUG: "bright_black", Level.WARNING: "yellow", Level.ERROR: "red", Level.CRITICAL: "magenta"}


def lines(state_dir: Path, asked: Mapping[str, str], *, follow: bool, as_json: bool) -> Iterator[str]:
    """The newest entries, oldest first, and with ``follow`` what comes after them until Ctrl-C.

    Raises:
        BadValueError, RangeError: it is no question.
        UnknownNameError: there is no log there.
    """
    folder = state_dir / "log"
    question, count = question_of(asked)
    if not follow and not series_of(folder):
        raise UnknownNameError(f"there is no log in {folder}; no facility has run on this state directory yet")
    shown = _json if as_json else _line
    follower = Follower(folder) if follow else None
    past = newest(folder, question, count).entries
    for entry in reversed(past):
        yield shown(entry)
    if follower is None:
        return
    known = {entry.id for entry in past}
    try:
        while True:
            for entry in follower.take():
                if entry.id not in known and question.matches(entry):
                    yield shown(entry)
            time.sleep(PERIOD_S)
    except KeyboardInterrupt:
        return
    finally:
        follower.close()


def _json(entry: Entry) -> str:
    return json.dumps(entry.as_dict(), ensure_ascii=False)


def _line(entry: Entry) -> str:
    moment = datetime.fromtimestamp(entry.time_s).isoformat(sep=" ", timespec="milliseconds")
    level = click.style(f"{entry.level.name:<8}", fg=COLORS.get(entry.level))
    source = f"{entry.source}: " if entry.source not in ("", entry.server) and entry.write is None else ""
    return f"{moment} {level} {entry.server:<12} {source}" + entry.text.replace("\n", "\n    ")
