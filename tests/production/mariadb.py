"""A Tango database as sites have it, MariaDB under the C++ server DataBaseds, private to a test.

The Debian packages ``mariadb-server`` and ``tango-db`` only lend their programs and their schema: data, socket and port
are the test's own, and whatever MariaDB the machine runs is not touched.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from servers.facility.readiness import database_answers
from tests.facility.running import free_port, wait_for
from tests.support.debian import program

# What the tables, the stored procedures and the first devices are made by, when Debian configures tango-db.
SCHEMA = Path("/usr/share/dbconfig-common/data/tango-db/install/mysql")
ACCOUNT = "mysql"  # what root becomes, as mariadbd refuses to be root
START_SECONDS = 30.0


class MariaDb:
    """A ``mariadbd`` with an empty Tango schema, reached by a socket file only; everything of it lies in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the files, start it, load the schema."""
        command = [program("mariadb-install-db", "mariadb-server"), "--no-defaults", *self._options()]
        command += ["--auth-root-authentication-method=normal", "--skip-name-resolve", "--skip-test-db"]
        done = subprocess.run(_unprivileged(command), capture_output=True, text=True, timeout=60.0, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        self.start()
        self._sql(
            "CREATE DATABASE tango; CREATE USER tango@localhost IDENTIFIED BY 'hinge';"
            "GRANT ALL ON tango.* TO tango@localhost"
        )
        self._sql(SCHEMA.read_text(), "tango")
        # What Debian writes into the home of the account that runs DataBaseds; without the last line a DataBaseds whose
        # connections were closed (MariaDB restarted, 8 hours without a request) answers with errors for ever.
        lines = ["[client]", f"socket={self._socket}", "user=tango", "password=hinge", "reconnect=1"]
        (self.folder / ".my.cnf").write_text("\n".join(lines))

    def start(self) -> None:
        # Debian's MariaDB holds texts as utf8mb4, a bare one as latin1.
        options = ["--character-set-server=utf8mb4", "--skip-networking", f"--socket={self._socket}", *self._options()]
        self._process = spawn([program("mariadbd", "mariadb-server"), "--no-defaults", *options], self.folder)
        wait_for(self._answers, START_SECONDS, "mariadbd answers")

    def stop(self) -> None:
        if self._process is not None:
            end(self._process)

    def _options(self) -> list[str]:
        # A mariadbd that starts removes the temporary files of every other one with the same tmpdir.
        return [f"--datadir={self.folder / 'data'}", f"--tmpdir={self.folder}", "--innodb-log-file-size=4M"]

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.folder / "mariadbd.log").read_text()
        return self._client("-e", "SELECT 1").returncode == 0

    def _sql(self, text: str, *words: str) -> None:
        done = self._client(*words, text=text)
        assert done.returncode == 0, done.stderr

    def _client(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        client = [program("mariadb", "mariadb-client"), "--no-defaults", f"--socket={self._socket}", "--user=root"]
        return subprocess.run([*client, *words], input=text, capture_output=True, text=True, timeout=60.0)


class DataBaseds:
    """A C++ Tango database server on a free port of 127.0.0.1, working on a MariaDB."""

    def __init__(self, mariadb: MariaDb) -> None:
        self.mariadb = mariadb
        self.tango_host = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [program("DataBaseds", "tango-db"), "2", "-ORBendPoint", f"giop:tcp:{self.tango_host}"]
        self._process = spawn(command, self.mariadb.folder, TANGO_HOST=self.tango_host)
        wait_for(self._answers, START_SECONDS, "DataBaseds answers")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, with SIGKILL as a machine that loses its power would."""
        if self._process is not None:
            end(self._process, number)

    def _answers(self) -> bool:
        log = self.mariadb.folder / "DataBaseds.log"
        assert self._process is not None and self._process.poll() is None, log.read_text()
        return database_answers(self.tango_host)


@contextmanager
def production_database() -> Iterator[DataBaseds]:
    """A running Tango database with nothing registered but itself; removed at the end."""
    program("mariadbd", "mariadb-server")
    program("DataBaseds", "tango-db")
    # Not pytest's folder: only its owner may enter that, and a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="diptych-mariadb-"))
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        os.chown(folder, account.pw_uid, account.pw_gid)
    mariadb = MariaDb(folder)
    server = DataBaseds(mariadb)
    try:
        mariadb.create()
        server.start()
        yield server
    finally:
        server.stop()
        mariadb.stop()
        shutil.rmtree(folder)


def spawn(command: Sequence[str], folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a program as an unprivileged user, with its home in ``folder``; it ends with this process."""
    with (folder / f"{Path(command[0]).name}.log").open("ab") as log:
        return subprocess.Popen(
            _unprivileged(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        )


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """End a program and wait for it."""
    process.send_signal(number)
    try:
        process.wait(20.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _unprivileged(command: Sequence[str]) -> list[str]:
    # Not after this process: a pytest that is killed leaves nothing behind.
    words = ["setpriv", "--pdeathsig", "TERM"]
    if os.geteuid() == 0:
        words += ["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]
    return [*words, *command]
