"""A PostgreSQL of its own: data, socket and port are the test's, and whatever runs on the machine is not touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg

from tests.facility.running import free_port, wait_for
from tests.support.debian import program

ACCOUNT = "postgres"  # what root becomes: PostgreSQL refuses to be root
PASSWORD = "hinge/42"
START_SECONDS = 30.0


class Postgres:
    """A cluster on loopback, with a password; everything of it lies in a folder that goes with it."""

    def __init__(self) -> None:
        self.port = free_port()
        self._initdb = program("initdb", "postgresql") if shutil.which("initdb") else _newest("initdb")
        self._server = str(Path(self._initdb).parent / "postgres")
        # Not below pytest's folder, which is for its own user only.
        self._folder = Path(tempfile.mkdtemp(prefix="history-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def create(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self._folder, ACCOUNT)
            shutil.chown(password, ACCOUNT)
        command = [
            *_unprivileged(),
            self._initdb,
            "-D",
            str(self._folder / "data"),
            "-U",
            "diptych",
            "-A",
            "scram-sha-256",
        ]
        command += ["--pwfile", str(password), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60.0, cwd=self._folder)
        assert done.returncode == 0, done.stdout + done.stderr
        self.start()

    def start(self) -> None:
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}", "fsync=off"]
        options = ["-p", str(self.port), "-c", "shared_buffers=16MB"]
        options += [word for setting in settings for word in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_unprivileged(), self._server, "-D", str(self._folder / "data"), *options],
                stdout=log, stderr=log, cwd=self._folder, start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, START_SECONDS, "PostgreSQL answers")

    def stop(self) -> None:
        """As in an emergency: open transactions end, nobody is asked."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20.0)
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def signal(self, number: int) -> None:
        """To all of it: PostgreSQL has a process for each connection."""
        assert self._process is not None
        leader = psutil.Process(self._process.pid)
        for process in [leader, *leader.children(recursive=True)]:
            process.send_signal(number)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://diptych:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        self._databases += 1
        name = f"history_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self._folder / "log").read_text()
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _newest(name: str) -> str:
    """Debian keeps these programs out of PATH, one folder for each version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else program(name, "postgresql")


def _unprivileged() -> list[str]:
    # Not after this process: a pytest that is killed leaves nothing behind.
    words = ["setpriv", "--pdeathsig", "INT"]
    return [*words, "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"] if os.geteuid() == 0 else words
