"""A session with a run engine as a page describes it: its blocks, one after the other, in one client's process."""

from __future__ import annotations

import re
import shlex
import sys
import threading
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from servers.main import main
from tests.clients.process import ClientProcess
from tests.support.demo_facility import Facility

HEARD = "heard.txt"  # in the folder of the session: the names of all documents so far
_space: dict[str, Any] = {}
_documents: list[tuple[str, Any]] = []


def blocks(page: Path, title: str) -> dict[str, str]:
    """Language -> the block of a section."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    return dict(re.findall(r"^```(sh|python)\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL))


def make_files(facility: Facility, text: str, folder: Path) -> None:
    """Do what the lines ``diptych describe ... > FILE`` of a shell block do; in this process, which has all imports."""
    for line in text.splitlines():
        words, _, file = line.partition(" > ")
        if not words.startswith("diptych describe"):
            continue
        environment = {"DIPTYCH_STATE_DIR": str(facility.state_dir)}
        done = CliRunner().invoke(main, shlex.split(words)[1:], env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        (folder / file.strip()).write_text(done.stdout)


class Session:
    """Runs Python blocks in one name space; the documents of each are checked by event-model's schemas."""

    def __init__(self, facility: Facility, folder: Path) -> None:
        self._client, self._heard = ClientProcess(facility.environment), folder / HEARD
        self._client(_enter, str(folder), seconds=90.0)

    def run(self, code: str, seconds: float = 90.0) -> list[tuple[str, Any]]:
        """Run a block to its end; the documents but for descriptors. Raises ClientError."""
        self.begin(code)
        return self.end(seconds)

    def begin(self, code: str) -> None:
        """Run a block, and do something else meanwhile."""
        self._heard.write_text("")
        self._client.begin(_run, code)

    def end(self, seconds: float = 90.0) -> list[tuple[str, Any]]:
        """The documents of the block that was begun last."""
        documents: list[tuple[str, Any]] = self._client.end(seconds)
        return documents

    def heard(self, name: str) -> int:
        """How many documents of a kind there are so far."""
        return self._heard.read_text().split().count(name)

    def failed(self, code: str, seconds: float = 90.0) -> list[tuple[str, Any]]:
        """The documents of a block that raises."""
        return self.run(f"try:\n{indented(code)}\nexcept Exception as error:\n    print(repr(error))\n", seconds)

    def aborted(self, code: str, name: str, seconds: float = 90.0) -> list[tuple[str, Any]]:
        """The documents of a block that another thread aborts a second after the first document of a kind."""
        return self.run(f"_abort_after({name!r})\n{code}", seconds)

    def close(self) -> None:
        self._client.close()


def indented(code: str) -> str:
    return "".join(f"    {line}" for line in code.splitlines(keepends=True))


# In the client's process ---------------------------------------------------------------------------------------------


def _enter(folder: str) -> None:
    import bluesky
    from event_model import DocumentNames, schema_validators

    sys.path.insert(0, folder)
    file = Path(folder, HEARD)

    def hear(name: str, document: Any) -> None:
        schema_validators[DocumentNames[name]].validate(document)
        _documents.append((name, document))
        with file.open("a") as heard:
            heard.write(f"{name}\n")

    class Engine(bluesky.RunEngine):
        def __init__(self) -> None:
            super().__init__()
            self.subscribe(hear)

    bluesky.RunEngine = Engine
    _space["_abort_after"] = _abort_after


def _run(code: str) -> list[tuple[str, Any]]:
    from bluesky.utils import RunEngineInterrupted

    _documents.clear()
    try:
        exec(compile(code, "session.py", "exec"), _space)
    except RunEngineInterrupted as interrupted:  # by an abort
        print(interrupted)
    return [(name, document) for name, document in _documents if name != "descriptor"]


def _abort_after(kind: str) -> None:
    def abort() -> None:
        while not any(name == kind for name, _ in _documents):
            time.sleep(0.05)
        time.sleep(1.0)
        _space["engine"].abort("enough")

    threading.Thread(target=abort, daemon=True).start()
