"""Integral parameters as JSON that grows with the queue: a poll costs what is new, not what was told before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from devices.saxs.results import Series
from servers.leash.reply import Encoded

IMAGES_AT_ONCE: Final = 2000  # 14 ms


class SeriesText:
    """The JSON of one series."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self._told = 0
        self._columns: dict[str, list[str]] = {key: [] for key in ("time", "file", "I0", "I1", "I2")}

    def take(self) -> bool:
        """Encode some more images of the series; whether there were any."""
        series, old = self.series, self._told
        new = min(len(series.i2), old + IMAGES_AT_ONCE)
        if new > old:
            times = [datetime.fromtimestamp(seconds).isoformat() for seconds in series.time[old:new]]
            news = (times, series.file[old:new], series.i0[old:new], series.i1[old:new], series.i2[old:new])
            for column, values in zip(self._columns.values(), news, strict=True):
                column.append(json.dumps(values)[1:-1])
            self._told = new
        return new > old

    def text(self) -> str:
        """``{"time": [...], "file": [...], "I0": [...], "I1": [...], "I2": [...]}``; times are local, ISO 8601."""
        return "{" + ", ".join(f'"{key}": [{", ".join(texts)}]' for key, texts in self._columns.items()) + "}"


class SeriesTexts:
    """The JSON of all series of a queue, by ``R0``, ``R1`` ..."""

    def __init__(self) -> None:
        self._texts: dict[str, SeriesText] = {}

    async def follow(self, series: Mapping[str, Series]) -> None:
        """Encode what is new, a little at a time: others are served meanwhile.

        A series that is another object than the last time is another queue's and begins anew.
        """
        self._texts = {key: self._text(key, each) for key, each in series.items()}
        for text in list(self._texts.values()):
            for _ in iter(text.take, False):
                await asyncio.sleep(0)

    def encoded(self) -> Encoded:
        """What was followed last."""
        return Encoded("{" + ", ".join(f"{json.dumps(key)}: {text.text()}" for key, text in self._texts.items()) + "}")

    def _text(self, key: str, series: Series) -> SeriesText:
        known = self._texts.get(key)
        return known if known is not None and known.series is series else SeriesText(series)
