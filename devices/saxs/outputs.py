"""Where the results of a run's images lie: no two images share a name, wherever they come from."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from devices.saxs.run import Run

WORK: Final = "../work"
RESULTS: Final = "results"


class Outputs:
    """Names of results; an image keeps the name that it was given once.

    Args:
        relative: the folder of results, seen from the folder of an image.
        folder: the folder of all results; None: as `relative` says. Neither leads out of the base folder of the run.
    """

    def __init__(self, run: Run, relative: str = WORK, folder: Path | None = None) -> None:
        self._run, self._relative, self._folder = run, relative, folder
        self._images: dict[str, str] = {}  # image of each output
        self._outputs: dict[str, str] = {}  # output of each image
        self._taken: set[str] = set()
        self._folders: dict[str, Path] = {}

    def of(self, image: str) -> str:
        """The path of an image's results without suffix; its folder exists afterwards.

        Raises:
            OSError: the folder cannot be made.
        """
        output = self._outputs.get(image)
        if output is None:
            folder = self._folder_of(os.path.dirname(image))
            output = next(each for each in _candidates(folder, image) if _plain(each) not in self._taken)
            self.note(image, output)
        return output

    def note(self, image: str, output: str) -> None:
        """An image has these results already, from an earlier life of the server."""
        self._images[output] = image
        self._outputs[image] = output
        self._taken.add(_plain(output))

    def all(self) -> list[str]:
        """The outputs of all images so far."""
        return list(self._images)

    def by_image(self) -> dict[str, str]:
        """The outputs so far, by their images."""
        return dict(self._outputs)

    def forget(self) -> None:
        self._images.clear()
        self._outputs.clear()
        self._taken.clear()

    @property
    def curves_file(self) -> Path:
        """The HDF5 file of the run."""
        run = self._run
        name = re.sub(r"[^\w.-]+", "_", run.calibration.title or run.images.name).strip("._") or "saxs"
        began = time.strftime("%Y%m%d-%H%M%S", time.localtime(run.started))
        return self._folder_of(str(run.images)) / f"{name}_{began}.h5"

    @property
    def live_list(self) -> Path:
        """The text file to which a line is added for each result."""
        images = self._run.images
        folder = self._confined(images.parent / RESULTS)
        return folder / f"filelist_{images.name}.log"

    def _folder_of(self, images: str) -> Path:
        folder = self._folders.get(images)
        if folder is None:
            folder = self._folder or self._confined(Path(os.path.normpath(os.path.join(images, self._relative))))
            folder.mkdir(parents=True, exist_ok=True)
            self._folders[images] = folder
        return folder

    def _confined(self, folder: Path) -> Path:
        """The folder, or one of its name in the base folder when it would lie outside, or the base folder itself."""
        base = self._run.base
        found = (Path(os.path.realpath(each)) for each in (folder, base / folder.name))
        return next((each for each in found if each.is_relative_to(base)), base)


def _plain(output: str) -> str:
    """The output without what tells curves apart: an image ``a_cR1`` must not meet the second curve of ``a``."""
    return re.sub(r"(_c[RS]\d+)+$", "", output)


def _candidates(folder: Path, image: str) -> Iterable[str]:
    """Names for an image's results: its own; then with the names of its folders; then with its suffix."""
    path = Path(image)
    name = path.stem
    yield str(folder / name)
    for parent in path.parents:
        if parent.name:
            name = f"{parent.name}__{name}"
            yield str(folder / name)
    number = 1
    while True:
        yield str(folder / f"{path.stem}_{path.suffix[1:]}{number if number > 1 else ''}")
        number += 1
