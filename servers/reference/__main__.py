"""``python -m servers.reference docs/reference dbconfig/*.json``: write the reference pages, or --check them."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from servers.facility.facility_file import read_facility
from servers.main import main as diptych
from servers.reference.command_page import command_page
from servers.reference.device_page import device_pages


def pages(files: Sequence[Path]) -> Mapping[str, str]:
    """File name -> text."""
    with tempfile.TemporaryDirectory() as state:
        facilities = [read_facility(file, state_dir=Path(state), to_run=False) for file in files]
        devices = device_pages(facilities)
    index = ["# Reference", "", "Made from the code by `make docs`.", "", "- [The diptych command](commands.md)"]
    index += [f"- [{name}]({name}.md): {_first_sentence(text)}" for name, text in sorted(devices.items())]
    return {
        "index.md": "\n".join([*index, ""]),
        "commands.md": command_page(diptych, "diptych"),
        **{f"{name}.md": text for name, text in devices.items()},
    }


def _first_sentence(page: str) -> str:
    return page.splitlines()[2].partition(". ")[0].rstrip(".")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the reference pages of the documentation")
    parser.add_argument("folder", type=Path)
    parser.add_argument("facilities", type=Path, nargs="+")
    parser.add_argument("--check", action="store_true", help="change nothing; say which pages are old")
    options = parser.parse_args()
    wanted = pages(options.facilities)
    present = {path.name: path.read_text() for path in options.folder.glob("*.md")}
    old = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    for name in old:
        print(
            f"{options.folder / name} {'is old' if options.check else 'is written' if name in wanted else 'is removed'}"
        )
        if not options.check and name in wanted:
            options.folder.mkdir(parents=True, exist_ok=True)
            (options.folder / name).write_text(wanted[name])
        elif not options.check:
            (options.folder / name).unlink()
    return 1 if options.check and old else 0


if __name__ == "__main__":
    sys.exit(main())
