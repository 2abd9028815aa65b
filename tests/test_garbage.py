"""Garbage is collected in a thread that holds no lock: the end of a Tango proxy may have to wait for other threads."""

from __future__ import annotations

import subprocess
import sys

from tests.support.serving import ROOT

PROGRAM = """
import threading, time
from servers.garbage import collect_apart

ended = []

class Ring:
    def __init__(self): self.itself = self
    def __del__(self): ended.append(threading.current_thread().name)

collect_apart()
collect_apart()
made, deadline = 0, time.monotonic() + 20.0
while time.monotonic() < deadline and (made < 20_000 or len(ended) < made // 2):
    Ring()
    made += 1
    if made % 1000 == 0:
        time.sleep(0.01)
print(sorted(set(ended)), sum(thread.name == "garbage" for thread in threading.enumerate()), len(ended) >= made // 2)
"""


def test_cyclic_garbage_ends_in_one_thread_of_its_own_whoever_makes_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "['garbage'] 1 True\n", done.stderr
