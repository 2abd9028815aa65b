"""Servers that `diptych serve --background` left running: a note with the pid for each, in the state directory."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import psutil

from servers.facility.log_file import LogFile


def start(state_dir: Path, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one and has no terminal."""
    log_file = LogFile.of(state_dir, name)
    log_file.limit()
    with log_file.path.open("ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    note = _note(state_dir, name)
    note.parent.mkdir(parents=True, exist_ok=True)
    # A pid alone may be another process by the time somebody reads this.
    note.write_text(json.dumps({"pid": child.pid, "created": psutil.Process(child.pid).create_time()}))
    return child


def process(state_dir: Path, name: str) -> psutil.Process | None:
    """The process of this name while it lives."""
    try:
        note = json.loads(_note(state_dir, name).read_text())
        found = psutil.Process(note["pid"])
        alive = found.create_time() == note["created"] and found.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return None
    return found if alive else None


def stop(state_dir: Path, name: str, seconds: float) -> bool:
    """End the process of this name, by force after ``seconds``; returns whether there was one."""
    found = process(state_dir, name)
    if found is None:
        return False
    helpers = found.children(recursive=True)
    found.terminate()
    try:
        found.wait(seconds)
    except psutil.TimeoutExpired:
        found.kill()
        found.wait(seconds)
    for helper in helpers:
        if helper.is_running():
            helper.kill()
    _note(state_dir, name).unlink(missing_ok=True)
    return True


def names(state_dir: Path) -> list[str]:
    """The servers that run in the background."""
    found = [note.stem for note in (state_dir / "run").glob("*.json")]
    return sorted(name for name in found if process(state_dir, name))


def _note(state_dir: Path, name: str) -> Path:
    return state_dir / "run" / f"{name.replace('/', '.')}.json"
