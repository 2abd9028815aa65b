"""What the documentation says is tried: its code runs, its commands, names, ports and links exist."""

from __future__ import annotations

import ast
import contextlib
import importlib
import itertools
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import pytest
import tango
import yaml

from devices.core import errors
from servers.epics.names import device_pvs
from servers.facility.facility_file import Facility, read_facility
from servers.facility.ports import DEFAULT_PORTS
from servers.facility.rehearsal import rehearse
from servers.host import device_class
from servers.main import main
from tests.support.serving import wait_until

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "write-your-own-device.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
GUIDES = [page for page in PAGES if page.name not in ("CHANGELOG.md", "decisions.md")]

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
TAG = re.compile(r"<!-- (file|top): (\S+) -->\n$")


@dataclass(frozen=True)
class Block:
    """A code block; ``place`` is "file" (goes below what the file has), "top" (above it) or "" (belongs to no file)."""

    page: Path
    line: int
    language: str
    text: str
    place: str
    file: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in FENCE.finditer(text):
        tag = TAG.search(text, 0, found.start())
        line = text.count("\n", 0, found.start()) + 1
        inner = textwrap.dedent(found[3]) if found[1] else found[3]
        yield Block(page, line, found[2], inner, tag[1] if tag else "", tag[2] if tag else "")


def tagged(page: Path, count: int | None = None) -> dict[str, str]:
    """The files of a page, as a reader has them after ``count`` blocks that belong to a file; None for all."""
    tops: dict[str, str] = {}
    files: dict[str, str] = {}
    for block in [each for each in blocks(page) if each.place][:count]:
        place = tops if block.place == "top" else files
        place[block.file] = place.get(block.file, "") + block.text + "\n"
    return {name: tops.get(name, "") + files.get(name, "") for name in {**tops, **files}}


def write(files: dict[str, str], folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("block", [block for block in ALL_BLOCKS if block.language == "python"], ids=str)
def test_every_python_block_is_python(block: Block) -> None:
    compile(textwrap.dedent(block.text), str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(
    "block", [block for block in ALL_BLOCKS if block.language in ("json", "yaml", "toml", "xml")], ids=str
)
def test_every_file_shown_can_be_read(block: Block) -> None:
    if block.language == "json":
        text = block.text if block.text.lstrip().startswith(("{", "[")) else f"{{{block.text}}}"
        json.loads(text)
    elif block.language == "yaml":
        assert yaml.safe_load(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    else:
        ElementTree.fromstring(block.text)


def test_the_picture_is_one() -> None:
    root = ElementTree.fromstring((ROOT / "docs" / "img" / "flow.svg").read_text())
    assert root.tag.endswith("svg")


# The device of the README ---------------------------------------------------------------------------------------------


def free_offset() -> int:
    """A --port-offset whose Tango port nobody has; it must not carry the highest port over 65535."""
    while True:
        offset = random.randrange(1000, 65536 - max(DEFAULT_PORTS.values()))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", DEFAULT_PORTS["tango"] + offset)):
            return offset


def test_the_device_of_the_readme_has_20_lines_and_is_served(tmp_path: Path) -> None:
    files = tagged(README)
    write(files, tmp_path)
    assert sum(bool(line.strip()) for line in files["thermostat.py"].splitlines()) <= 20
    offset = free_offset()
    address = f"tango://127.0.0.1:{DEFAULT_PORTS['tango'] + offset}/lab/room/1#dbase=no"
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "servers.main", "serve", "room", "--file", "lab.json"),
                *("--state-dir", str(tmp_path / "var"), "--port-offset", str(offset)),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
            stdout=output,
            stderr=output,
        )
    try:
        proxy = tango.DeviceProxy(address)
        wait_until(lambda: process.poll() is not None or proxy.ping() >= 0, 20.0, "it is served")
        assert process.poll() is None, log.read_text()
        wait_until(lambda: (proxy.read_attribute("temperature").value or 0.0) > 18.5, 10.0, "the room gets warm")
        assert proxy.get_attribute_config("temperature").unit == "degC"
        proxy.write_attribute("setpoint", 24.5)
        read = proxy.read_attribute("setpoint")
        assert (read.value, read.w_value) == (24.5, 24.5)
        with pytest.raises(tango.DevFailed):
            proxy.write_attribute("setpoint", 30.5)
        before = proxy.temperature
        proxy.open_window()
        wait_until(lambda: proxy.temperature < before - 1.0, 5.0, "cold air comes in")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10.0) == 0, log.read_text()


# The tutorial ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of the tutorial, complete."""
    write(tagged(TUTORIAL) | {"mylab/__init__.py": ""}, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mylab"]:
        del sys.modules[name]


def test_the_device_of_the_tutorial_works_after_every_step(tutorial: Path) -> None:
    steps = [block for block in blocks(TUTORIAL) if block.place]
    names: list[set[str]] = []
    for count, block in enumerate(steps, 1):
        if (block.place, block.file) == ("file", "mylab/oven.py"):
            module: dict[str, Any] = {"__name__": "mylab.oven"}
            exec(compile(tagged(TUTORIAL, count)["mylab/oven.py"], str(block), "exec"), module)
            oven = module["Oven"]("lab/oven/1", {"link": "tcp://127.0.0.1:1"})
            described = json.loads(oven.interface.to_json())
            names.append({each["name"] for each in described["attributes"] + described["commands"]})
    assert {"identity", "pressure"} <= names[0] and "lamp" not in names[0]
    assert all(earlier <= later for earlier, later in itertools.pairwise(names))
    assert {"lamp", "door", "open_door", "temperature_2", "setpoint_1", "bake", "slope", "fit_seconds"} <= names[-1]


def test_the_tests_of_the_tutorial_pass(tutorial: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_oven.py"],
        cwd=tutorial,
        capture_output=True,
        text=True,
        timeout=60.0,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^3 passed", done.stdout, re.MULTILINE), done.stdout


def test_the_facility_of_the_tutorial_is_sound(tutorial: Path) -> None:
    facility = read_facility(tutorial / "lab.json", state_dir=tutorial / "var")
    rehearse(facility)
    oven = device_class(facility.classes["Oven"])
    pvs = device_pvs(json.loads(oven("lab/oven/1", {"link": "tcp://x:1", "pv_prefix": "OVEN1:"}).interface.to_json()))
    assert set(re.findall(r"\bOVEN1:\w+", TUTORIAL.read_text())) <= set(pvs)


# Commands, names, numbers ---------------------------------------------------------------------------------------------


def command_lines(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Where it stands, and the words behind ``diptych``, for each command line in a shell block."""
    for block in blocks(page):
        if block.language == "sh":
            for number, line in enumerate(block.text.splitlines(), block.line + 1):
                for found in re.finditer(r"(?:^|[\s(/])diptych ([^)]*)", line):
                    yield f"{page.name}:{number}", shlex.split(found[1].split(" &")[0], comments=True)


def test_every_command_line_of_a_shell_block_is_understood() -> None:
    lines = [line for page in PAGES for line in command_lines(page)]
    assert len(lines) > 30
    for where, (name, *words) in lines:
        command = main.commands.get(name)
        assert command is not None, f"{where}: there is no diptych {name}"
        if "--help" in words:
            continue
        try:
            command.make_context(name, words)
        except click.UsageError as error:
            raise AssertionError(f"{where}: diptych {name} {words}: {error.format_message()}") from None


def test_every_command_and_option_in_the_text_exists() -> None:
    spoken = [(page, found[1]) for page in PAGES for found in re.finditer(r"`diptych ([^`]+)`", page.read_text())]
    assert len(spoken) > 10
    for page, text in spoken:
        name, *words = text.replace("\n", " ").split()
        if name.isupper() or name.startswith("-"):
            continue
        assert name in main.commands, f"{page.name}: there is no diptych {name}"
        known = {option for parameter in main.commands[name].params for option in parameter.opts} | {"--help"}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"{page.name}: diptych {name} has no option {word}"


def test_every_command_of_diptych_is_in_the_user_guide() -> None:
    guide = (ROOT / "docs" / "user-guide.md").read_text()
    assert [name for name in main.commands if f"diptych {name}" not in guide] == []


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    spoken = {found for page in PAGES for found in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE)}
    assert spoken and spoken <= targets


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Facility:
    return read_facility(ROOT / "dbconfig" / "demo.json", state_dir=tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def described(demo: Facility) -> dict[str, dict[str, Any]]:
    """Device -> description, of every device of the demo, none of which is started."""
    return {
        device: json.loads(device_class(demo.classes[name])(device, properties).interface.to_json())
        for classes in demo.devices.values()
        for name, devices in classes.items()
        for device, properties in devices.items()
    }


def test_every_pv_that_is_named_exists_in_the_demo(described: dict[str, dict[str, Any]]) -> None:
    prefixes = "|".join(description["pv_prefix"].rstrip(":") for description in described.values())
    known = {pv for description in described.values() for pv in device_pvs(description)}
    # A prefix may begin with that of another device: CCD1: and CCD1:TEMP:.
    known |= {description["pv_prefix"].rstrip(":") for description in described.values()}
    spoken = {
        found.rstrip(":")
        for page in GUIDES
        for found in re.findall(rf"\b(?:{prefixes}):[A-Za-z0-9_:]+(?![A-Za-z0-9_:*])", page.read_text())
    }
    assert len(spoken) > 10
    assert spoken - known == set()


def test_every_attribute_and_command_of_the_demo_that_is_named_exists(described: dict[str, dict[str, Any]]) -> None:
    for device, description in described.items():
        known = {each["name"] for each in description["attributes"] + description["commands"]}
        spoken = {found for page in GUIDES for found in re.findall(rf"\b{device}/(\w+)(?![\w*])", page.read_text())}
        assert spoken - known - {"State", "Status", "Init"} == set(), device


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = re.split(rf"^#+ {heading}$", page.read_text(), maxsplit=1, flags=re.MULTILINE)[1]
    table = re.search(r"^\|.*?\n(?!\|)", section, re.MULTILINE | re.DOTALL)
    assert table is not None, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def test_the_port_table_is_the_real_one(demo: Facility) -> None:
    shown = {cells[0].strip("*"): int(cells[1]) for cells in rows(ROOT / "docs" / "user-guide.md", "Ports")}
    simulators = {service: port for service, port in demo.ports.table.items() if service.startswith("sim.")}
    assert shown == {**DEFAULT_PORTS, **simulators}


@pytest.mark.parametrize("name", ["CryoCon", "SaxsDetector", "DaqNode", "EpicsMirror"])
def test_the_properties_of_an_instrument_exist(demo: Facility, name: str) -> None:
    known = {field.name for field in fields(device_class(demo.classes[name]).properties_class)}
    cells = [row[0] for row in rows(ROOT / "docs" / "user-guide.md", name)]
    spoken = {found for cell in cells for found in re.findall(r"`(\w+)`", cell)}
    assert spoken and spoken <= known


def test_every_error_class_is_explained() -> None:
    shown = {cells[0].strip("`") for cells in rows(ROOT / "docs" / "model.md", "Errors")}
    classes = {
        name
        for name, item in vars(errors).items()
        if isinstance(item, type) and issubclass(item, errors.DiptychError) and item is not errors.DiptychError
    }
    assert shown == classes


# Links ----------------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    text = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "protos" / "README.md", ROOT / "opi" / "README.md"], ids=str)
def test_every_internal_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        assert path.is_relative_to(ROOT), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(path), f"{page.name}: {target}"


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    missing = [page.name for page in PAGES if f"({page.name})" not in index and f"(../{page.name})" not in index]
    assert missing == ["index.md"]
