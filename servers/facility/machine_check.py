"""What of this machine or account would keep a facility from running well, and what to do about it."""

from __future__ import annotations

import os
import resource
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

LEAST_FILES: Final = 1024  # sockets, logs and cubes of a server with a hundred clients
LEAST_SHARED_BYTES: Final = 512 << 20  # cubes of the correlator, pictures of cameras
LEAST_MEMORY_BYTES: Final = 2 << 30  # what the demo has resident
_NETWORK_FILE_SYSTEMS: Final = frozenset({"nfs", "nfs4", "cifs", "smbfs", "smb3", "9p", "fuse.sshfs", "afs"})
_PROXIES: Final = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "grpc_proxy")


def examine(state_dir: Path) -> Iterator[str]:
    """Every finding as one line."""
    yield from _host_name()
    yield from _files()
    yield from _shared_memory(Path("/dev/shm"))  # noqa: S108  (the kernel's, not a temporary file)
    yield from _memory()
    yield from _state_folder(state_dir)
    yield from _proxies()


def _host_name() -> Iterator[str]:
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None, socket.AF_INET)
    except OSError as error:
        yield (
            f"the name of this machine, {name}, has no IPv4 address ({error.strerror}), which Tango asks for: add "
            f"`127.0.1.1 {name}` to /etc/hosts"
        )


def _files() -> Iterator[str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < LEAST_FILES:
        fix = f"`ulimit -n {min(hard, 4096)}`" if hard >= LEAST_FILES else "raise `nofile` in /etc/security/limits.conf"
        yield f"a process of this shell may open {soft} files only, a busy server needs {LEAST_FILES}: {fix}"


def _shared_memory(folder: Path) -> Iterator[str]:
    try:
        size = shutil.disk_usage(folder).total
    except OSError as error:
        yield f"{folder} cannot be used ({error.strerror}): pipelines in processes need it, mount a tmpfs there"
        return
    if size < LEAST_SHARED_BYTES:
        yield (
            f"{folder} has {size >> 20} MB, pipelines in processes need {LEAST_SHARED_BYTES >> 20}: mount it larger "
            f"(a container: --shm-size=1g)"
        )


def _memory() -> Iterator[str]:
    free = psutil.virtual_memory().available
    if free < LEAST_MEMORY_BYTES:
        yield f"only {free >> 20} MB of memory are free, the demo needs {LEAST_MEMORY_BYTES >> 20}: end something else"


def _state_folder(state_dir: Path) -> Iterator[str]:
    place = state_dir.absolute()
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        yield f"{place} cannot be written by this account: name another --state-dir, or change its owner"
    kind = file_system(place)
    if kind in _NETWORK_FILE_SYSTEMS:
        yield (
            f"{state_dir} is on a network file system ({kind}), where the embedded database may lose what it has: name "
            f"a --state-dir on a local disk"
        )


def file_system(place: Path) -> str:
    """The kind of file system that a folder is on, ``ext4``; empty when it is not known."""
    mounts = [each for each in psutil.disk_partitions(all=True) if place.is_relative_to(each.mountpoint)]
    return max(mounts, key=lambda each: len(each.mountpoint)).fstype if mounts else ""


def _proxies() -> Iterator[str]:
    exempt = f"{os.environ.get('no_proxy', '')},{os.environ.get('NO_PROXY', '')}"
    if any(word in exempt.replace(" ", "").split(",") for word in ("*", "127.0.0.1", "127.0.0.0/8")):
        return
    for name in _PROXIES:
        if os.environ.get(name):
            yield (
                f"{name} sends HTTP and gRPC clients of this shell through a proxy, also to 127.0.0.1: "
                f"`export no_proxy=127.0.0.1,localhost`"
            )
            return
