"""What ``diptych observe`` does: check, show, run and follow a script of a camera's observer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from devices.core.errors import BadValueError, DiptychError
from devices.drivers.limited_file import read_limited
from devices.drivers.script_table import MAX_BYTES
from servers.ccd_client import CcdClient
from servers.facility.place import database_of
from servers.observing.follow import Follower, Left
from servers.observing.table import duration, timetable_table


def observe(
    script: str,
    *,
    observer: str,
    dry_run: bool,
    first_row: int,
    begin: str,
    on_failure: str,
    carry_on: bool,
    background: bool,
    yes: bool,
    state_dir: Path,
    tango_host: str | None,
) -> None:
    """Run a script, carry one on, or, without either, follow the one that runs."""
    console = Console(soft_wrap=True)
    name = observer if "://" in observer else f"tango://{database_of(state_dir, tango_host)}/{observer}"
    with CcdClient(name) as device, _lines():
        if carry_on:
            console.print(f"carries on {device.get('unfinished') or 'nothing'}", markup=False, highlight=False)
            identity = str(device.call("carry_on", on_failure))
        elif script:
            _load(device, script)
            found = json.loads(device.call("timetable", first_row=first_row, begin=begin))
            console.print(timetable_table(found))
            if dry_run:
                return
            if violations := found["violations"]:
                rows = "1 row is" if violations == 1 else f"{violations} rows are"
                if not yes and not click.confirm(f"{rows} beyond the telescope's limits. Go on?"):
                    return
            identity = device.start("observe", script="", first_row=first_row, on_failure=on_failure)
        else:
            identity = str(device.get("operation_id"))
            if not device.get("operation"):
                _tell_idle(device, console)
                return
        if background:
            console.print(f"{identity} runs; `diptych observe` follows it", markup=False, highlight=False)
            return
        try:
            result = Follower(device, identity, console).until_end()
        except Left:
            console.print("it is left as it is; `diptych observe` follows it again", markup=False)
            return
        rows_text = ", ".join(f"{count} {word}" for word, count in result["rows"].items())
        text = f"{result['script']}: rows {rows_text}; {result['images']} images in {duration(result['seconds'])}"
        console.print(f"{text}; log {result['log']}", markup=False, highlight=False)


def _load(device: CcdClient, script: str) -> None:
    path = Path(script)
    if not path.exists():
        device.call("load", script)
        return
    try:
        text = read_limited(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadValueError(f"{path} is not UTF-8: byte {error.start}") from error
    device.call("load_text", name=path.name, text=text)


def _tell_idle(device: CcdClient, console: Console) -> None:
    unfinished = device.get("unfinished")
    lines = ["no script runs", f"scripts: {', '.join(device.get('scripts') or ()) or 'none in its folder'}"]
    if unfinished:
        lines.append(f"not finished: {unfinished}; --carry-on goes on with it")
    for line in lines:
        console.print(line, markup=False, highlight=False)


@contextmanager
def _lines() -> Iterator[None]:
    """A script's faults stand on a line each."""
    try:
        yield
    except DiptychError as error:
        first, *more = str(error).splitlines() or [""]
        if not more:
            raise
        click.echo(f"error: {first}", err=True)
        for line in more:
            click.echo(f"  {line}", err=True)
        raise click.exceptions.Exit(1) from None
