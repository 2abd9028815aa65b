"""Cubes in files, sent to an image ingest as correlator nodes send them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, RefusedError
from devices.correlator.apart import read_cube
from devices.drivers.correlator_client import CorrelatorClient
from devices.drivers.correlator_message import NAN, MessageName, mjd_of


def send(
    files: Sequence[Path],
    *,
    host: str,
    port: int,
    isot: str,
    nsamps: int,
    sample_s: float,
    uv_diag: float | None,
    dec: float | None,
    testh23: bool,
    token_file: Path | None,
) -> Iterator[str]:
    """Send cubes, one gulp after the other; a line for each gulp.

    Args:
        isot: when the first gulp begins; "": now.
        uv_diag, dec: longest baseline, m, and declination, deg.
    Raises:
        BadValueError: no such cube, no such time, one of ``uv_diag`` and ``dec`` alone. RefusedError: the server did
            not take a sub-band. NotConnectedError, TimeoutError: there is no server, or no answer.
    """
    if (uv_diag is None) != (dec is None):
        raise BadValueError("uv_diag and dec belong together")
    if isot:
        mjd_of(isot)
    begin = datetime.fromisoformat(isot) if isot else datetime.now(UTC).replace(tzinfo=None)
    token = token_file.read_text().split("\n")[0].strip() if token_file is not None else ""
    sent = 0
    for file in files:
        cube = read_cube(file.absolute())
        if cube.shape[1] % nsamps:
            raise BadValueError(f"{file}: {cube.shape[1]} samples are not gulps of {nsamps}")
        for first in range(0, cube.shape[1], nsamps):
            at = (begin + timedelta(seconds=sent * nsamps * sample_s)).isoformat(timespec="milliseconds")
            names = [
                MessageName(
                    None if testh23 else channel, at, NAN if uv_diag is None else uv_diag, NAN if dec is None else dec
                )
                for channel in range(len(cube))
            ]
            gulp = cube[:, first : first + nsamps]
            sends = asyncio.run(_send(host, port, token, names, gulp))
            sent += 1
            yield f"{file.name} {at}: {len(names)} sub-bands in {sends} sends"


async def _send(host: str, port: int, token: str, names: Sequence[MessageName], gulp: NDArray[Any]) -> int:
    client, sends = CorrelatorClient(host, port, token=token), 0
    try:
        for name, images in zip(names, gulp, strict=True):
            delivery = await client.put_array(name, np.moveaxis(images, 0, -1).astype(np.float64))
            if not delivery.accepted:
                raise RefusedError(f"{name.target()}: {delivery.status} {delivery.text}")
            sends += delivery.sends
    finally:
        client.close()
    return sends
