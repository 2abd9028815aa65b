"""Readings that name the file which each trigger has written."""

import asyncio
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from event_model import compose_resource
from ophyd_async.core import SignalR, StandardReadable

# what follows stands in generated files


class NamesFiles(StandardReadable):
    """Adds the key ``NAME-file`` to the readings: the datum of the newest file, whose path is in ``_file``."""

    _file: SignalR[str]
    _documents: list[tuple[str, Any]]
    _newest = ""

    async def describe(self) -> Any:
        key = {"source": self._file.source, "dtype": "array", "shape": [None, None], "external": "FILESTORE:"}
        return {**await super().describe(), f"{self.name}-file": key}

    async def read(self) -> Any:
        for _ in range(20):  # the name may come a little later than the end of the operation
            (file,) = (await self._file.read()).values()
            if file["value"] != self._newest:
                break
            await asyncio.sleep(0.1)
        self._newest = file["value"]
        path = PurePosixPath(file["value"])
        resource = compose_resource(
            spec=path.suffix.removeprefix(".").upper() or "FILE",
            root=str(path.parent),
            resource_path=path.name,
            resource_kwargs={},
        )
        datum = resource.compose_datum(datum_kwargs={})
        document = {key: value for key, value in resource.resource_doc.items() if key != "run_start"}
        self._documents = [("resource", document), ("datum", datum)]
        reading = {"value": datum["datum_id"], "timestamp": file["timestamp"]}
        return {**await super().read(), f"{self.name}-file": reading}

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Any]:
        yield from self._documents
        self._documents = []
