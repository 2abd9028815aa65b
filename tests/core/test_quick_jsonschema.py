"""A process of a facility does not load what no schema needs."""

from __future__ import annotations

import subprocess
import sys


def test_servers_start_without_the_grammar_of_uris() -> None:
    code = "import sys, servers.host, servers.leash.hosted; print('rfc3987_syntax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60.0)
    assert done.stdout.strip() == "False", done.stderr
