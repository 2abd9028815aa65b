"""What `diptych doctor` says of a machine; each finding names the way out."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from servers.facility import machine_check


def test_a_host_name_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "nowhere.invalid")
    assert any("add `127.0.1.1 nowhere.invalid` to /etc/hosts" in line for line in machine_check.examine(Path("var")))


def test_a_shell_with_few_files_is_told_how_to_have_more() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2048));"
        "from pathlib import Path; from servers.facility import machine_check;"
        "print(*machine_check.examine(Path('var')), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60.0)
    assert "may open 256 files only, a busy server needs 1024: `ulimit -n 2048`" in done.stdout, done.stderr
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft >= 1024, "this shell itself has enough"
    assert not any("files only" in line for line in machine_check.examine(Path("var")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_told() -> None:
    assert any("/usr cannot be written" in line for line in machine_check.examine(Path("/usr/lab/var")))


@pytest.mark.parametrize("exempt", ["", "site.org"])
def test_a_proxy_that_would_get_local_requests_is_told(exempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.site:3128")
    monkeypatch.setenv("no_proxy", exempt)
    assert any("`export no_proxy=127.0.0.1,localhost`" in line for line in machine_check.examine(Path("var")))
    monkeypatch.setenv("no_proxy", "localhost, 127.0.0.1")
    assert not any("proxy" in line for line in machine_check.examine(Path("var")))


def test_the_file_system_is_that_of_the_deepest_mount() -> None:
    assert machine_check.file_system(Path("/proc/sys")) == "proc"
    assert machine_check.file_system(Path("/dev/shm")) == "tmpfs"
