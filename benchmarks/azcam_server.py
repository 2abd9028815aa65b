"""Commands per second of the azcam command server, beside azcam's own where it can be installed, in turn.

Both run in a process of their own and are asked by the same client: a line, its reply, the next line.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from benchmarks import peer_home
from benchmarks.figure import Figure

#: Why one client alone does not get 20 000 answers a second, from either server.
WAKES: Final = "two processes that wait for each other to wake; 100 clients get them"

ROUNDS: Final = 5
SECONDS: Final = 0.6
CONNECTIONS: Final = 200
CLIENTS: Final = 100
COMMANDS: Final = ("get_par version", "exposure.get_roi")


def run() -> list[Figure]:
    with ExitStack() as stack:
        ours = stack.enter_context(_ours())
        theirs = stack.enter_context(_theirs())
        found: dict[str, tuple[list[float], list[float]]] = {}

        def measure(name: str, work: Callable[[int], float]) -> None:
            pair = found.setdefault(name, ([], []))
            for port, into in zip((ours, theirs), pair, strict=True):
                if port is not None:
                    into.append(work(port))

        for _ in range(ROUNDS):
            for command in COMMANDS:
                measure(command, lambda port, command=command: _commands(port, command))  # type: ignore[misc]
            measure("connect", _connect)
        # azcam's threads have a backlog of five connections: it is not asked for a hundred at once.
        crowd = [_crowd(ours) for _ in range(ROUNDS)]
    figures = []
    for command in COMMANDS:
        mine, other = found[command]
        figures.append(
            Figure(
                f"azcam server: {command}, one client", _median(mine), "/s", _peer(other), above=20_000.0, short=WAKES
            )
        )
    mine, other = found["connect"]
    figures.append(Figure("azcam server: connect and first reply", _median(mine), "ms", _peer(other), below=5.0))
    figures.append(Figure(f"azcam server: get_par version, {CLIENTS} clients", _median(crowd), "/s"))
    return figures


@contextmanager
def _ours() -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    process = context.Process(target=_serve, args=(its,), daemon=True)
    process.start()
    its.close()  # so that the end of a process that cannot start is seen
    try:
        yield int(mine.recv())
    finally:
        mine.send(None)
        process.join(20.0)


def _serve(pipe: Connection) -> None:
    from tests.azcam.console import served

    async def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with served(Path(folder)) as found:
                pipe.send(int(found.service.endpoint.rpartition(":")[2]))
                await asyncio.to_thread(pipe.recv)

    asyncio.run(work())


@contextmanager
def _theirs() -> Iterator[int | None]:
    python = peer_home.install("azcam")
    if python is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    script = Path(__file__).with_name("azcam_peer.py")
    with tempfile.TemporaryDirectory() as folder:
        words = [str(python), str(script), str(port)]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(words, cwd=folder, **silent)  # type: ignore[call-overload]
        try:
            yield port if _listens(port, process) else None
        finally:
            process.kill()
            process.wait()


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline and process.poll() is None:
        try:
            _client(port).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def _client(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 10.0)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def _commands(port: int, command: str) -> float:
    request = f"{command}\n".encode()
    with _client(port) as client:
        count, began = 0, time.perf_counter()
        while (taken := time.perf_counter() - began) < SECONDS:
            for _ in range(50):
                client.sendall(request)
                reply = client.recv(4096)
            count += 50
            assert reply.startswith(b"OK"), reply
    return count / taken


def _connect(port: int) -> float:
    taken = []
    for _ in range(CONNECTIONS):
        began = time.perf_counter()
        with _client(port) as client:
            client.sendall(b"get_par version\n")
            client.recv(4096)
            taken.append(1000.0 * (time.perf_counter() - began))
    return _median(taken)


def _crowd(port: int) -> float:
    """All clients have asked before any reads: a server that answers one after the other is not waited for."""
    clients = [_client(port) for _ in range(CLIENTS)]
    try:
        count, began = 0, time.perf_counter()
        while (taken := time.perf_counter() - began) < SECONDS:
            for client in clients:
                client.sendall(b"get_par version\n")
            for client in clients:
                client.recv(4096)
            count += CLIENTS
    finally:
        for client in clients:
            client.close()
    return count / taken


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _peer(values: list[Any]) -> float | None:
    return statistics.median(values) if values else None
