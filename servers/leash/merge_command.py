"""``diptych saxs merge``, once saxsdmerge: the images of a folder and logs as one table, without a server."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from servers.command_group import OneLineCommand

if TYPE_CHECKING:
    from devices.core.errors import BadValueError
    from devices.saxs.merge_job import Merged, MergeJob, Results

HELP: Final = {"help_option_names": ["-h", "--help"]}
FILE: Final = click.Path(path_type=Path, dir_okay=False)
#: The keys of OutputFormats by the suffix of a file.
FORMATS: Final = {".csv": "csv", ".json": "json", ".hdf": "hdf", ".h5": "hdf", ".xls": "exel", ".xlsx": "exel"}
#: What the logs of the command line are called.
LOGS: Final = ("Peak", "Dlogger")
_CURVES: Final = re.compile(r"(.+?)(?:_c([RS])(\d+))?\.chi")


@click.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.argument("logs", metavar="[PEAK.LOG [DATALOGGER.LOG]]", nargs=-1, type=FILE)
@click.option("-t", "--timeoffset", type=float, help="Added to the times of all logs, s.")
@click.option(
    "-1", "--syncfirst", is_flag=True, help="The first image begins when the shutter of PEAK.LOG first opens."
)
@click.option("-z", "--synczero", is_flag=True, help="... or the image zero_1M_00000.tif does.")
@click.option("-o", "--outfile", type=FILE, help="A file (.csv .json .hdf .xlsx) [DIR/results/logs/DIR.csv].")
@click.option("-c", "--includechi", is_flag=True, help="The curves of the images into the .hdf file.")
@click.option("-f", "--includetif", is_flag=True, help="The images into the .hdf file.")
@click.option("-C", "--conf", type=FILE, help="A merge configuration; the options go before what it says.")
@click.option(
    "-e", "--epoch", type=click.Choice(["Mac", "Unix"]), default="Mac", show_default=True, help="Of the logs."
)
@click.option("--timezone", help="Of the dates in images, such as Europe/Vienna [as they stand].")
@click.option("-R", "--relpath", "relative", default="../work", show_default=True, help="Curves, seen from images.")
@click.option("-b", "--batch", is_flag=True, help="Without a progress bar.")
def merge(
    folder: Path,
    logs: tuple[Path, ...],
    timeoffset: float | None,
    syncfirst: bool,
    synczero: bool,
    outfile: Path | None,
    includechi: bool,
    includetif: bool,
    conf: Path | None,
    epoch: str,
    timezone: str | None,
    relative: str,
    batch: bool,
) -> None:
    """Join the images below DIR with logs, each image at the middle of its exposure."""
    if len(logs) > len(LOGS):
        raise _wrong(f"{len(logs)} logs: at most {len(LOGS)} on the command line; more in a configuration, -C")
    document = _document(conf)
    tables: list[dict[str, Any]] = [
        {"Name": name, "TimeEpoch": epoch, "Files": [{"LocalPath": str(log.absolute())}]}
        for name, log in zip(LOGS, logs, strict=False)
    ]
    tables = [*tables, *document.get("LogDataTables", [])]
    if tables and (syncfirst or synczero):
        sync = {"FirstImageCorrelation": syncfirst, "ZeroImageCorrelation": synczero}
        tables[0] = {**tables[0], **sync}
    elif syncfirst or synczero:
        raise _wrong("--syncfirst and --synczero need a log with the shutter")
    document["LogDataTables"] = tables
    if timeoffset is not None:
        document["TimeOffset"] = timeoffset
    if timezone is not None:
        document["TimeZone"] = timezone
    options = document.setdefault("HDFOptions", {})
    options |= {key: True for key, wanted in (("IncludeCHI", includechi), ("IncludeTIF", includetif)) if wanted}
    if outfile is not None:
        if outfile.suffix not in FORMATS:
            raise _wrong(f"{outfile}: a file of .csv, .json, .hdf or .xlsx, not {outfile.suffix or 'without any'}")
        document["OutputFormats"] = {FORMATS[outfile.suffix]: True}
    elif not any(document.get("OutputFormats", {}).values()):
        document["OutputFormats"] = {"csv": True}
    found = _merged(_job(folder, document, conf, outfile, relative), shows=not batch)
    for file in found.files:
        click.echo(str(file))


def _document(conf: Path | None) -> dict[str, Any]:
    """The content of a configuration, which is sound by itself: what the options change is checked again."""
    if conf is None:
        return {}
    from devices.drivers.saxs_merge_configuration import read_merge_configuration

    read_merge_configuration(conf)
    document: dict[str, Any] = json.loads(conf.read_bytes())
    return document


def _job(folder: Path, document: Mapping[str, Any], conf: Path | None, outfile: Path | None, relative: str) -> MergeJob:
    from devices.drivers.allowed_folders import AllowedFolders
    from devices.drivers.saxs_merge_configuration import parse_merge_configuration
    from devices.saxs.merge_job import MergeJob
    from devices.saxs.merge_sources import found_logs

    configuration = parse_merge_configuration(document, str(conf or "merge"))
    folder = Path(os.path.abspath(folder))
    beside = AllowedFolders([Path(os.path.abspath(conf)).parent if conf else Path.cwd(), Path("/")])
    output = outfile.absolute().with_suffix("") if outfile else folder / f"{configuration.output}{folder.name}"
    return MergeJob(
        folder=folder,
        allowed=beside,
        configuration=configuration,
        logs=found_logs(configuration, (), beside),
        results=_curves(folder, relative) if configuration.includes_curves else _no_curves(),
        output=output,
    )


def _no_curves() -> Results:
    from devices.saxs.merge_job import Results

    return Results()


def _curves(folder: Path, relative: str) -> Results:
    """The curves in text files that belong to the images below a folder."""
    from devices.saxs.folder_watch import images_below
    from devices.saxs.merge_job import Results

    files: dict[str, list[str]] = {}
    outputs: dict[str, str] = {}
    for images in images_below(folder):
        results = os.path.normpath(os.path.join(os.path.dirname(images[0]), relative))
        by_stem = {os.path.splitext(os.path.basename(image))[0]: image for image in images}
        for name in sorted(os.listdir(results) if os.path.isdir(results) else ()):
            found = _CURVES.fullmatch(name)
            if found is None or found[1] not in by_stem:
                continue
            kind = "Radial0" if found[2] is None else {"R": "Radial", "S": "Slice"}[found[2]] + found[3]
            files.setdefault(kind, []).append(os.path.join(results, name))
            outputs[by_stem[found[1]]] = os.path.join(results, found[1])
    return Results(files, outputs)


def _merged(job: MergeJob, *, shows: bool) -> Merged:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from devices.saxs.merge_job import merge as run

    console = Console(stderr=True)
    columns: Sequence[Any] = TextColumn("merging"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not (shows and console.is_terminal), transient=True) as progress:
        task = progress.add_task("merging", total=100.0)
        reached = 0.0

        def report(percent: float, text: str) -> None:
            nonlocal reached
            reached = max(reached, percent)
            progress.update(task, completed=reached)
            if text:
                console.print(text, markup=False, highlight=False, soft_wrap=True)

        return run(job, report)


def _wrong(text: str) -> BadValueError:
    from devices.core.errors import BadValueError  # with numpy behind it: not for who asks for help only

    return BadValueError(text)
