"""`diptych automl` as a process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

from devices.drivers.automl import AutomlClient
from devices.pipelines.loop.synthetic import encoded, scene


def test_the_command_serves_until_it_is_told_to_end() -> None:
    words = [
        sys.executable,
        "-m",
        "servers.main",
        "automl",
        "--port",
        "0",
        "--finder",
        "classical",
        "--pin-side",
        "right",
    ]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("READY http://127.0.0.1:")
            picture = scene("easy", 600_000_001).picture(20.0)

            async def session() -> None:
                client = AutomlClient(ready.split("/")[2])
                found = await client.find(encoded(picture.image[:, ::-1].copy()), "k")
                await client.close()
                assert found.found
                assert abs(found.box_min_x - (1.0 - picture.truth.tip_x)) < 5 / 704

            asyncio.run(session())
            process.send_signal(signal.SIGTERM)
            assert process.wait(20.0) == 0
        finally:
            process.kill()
