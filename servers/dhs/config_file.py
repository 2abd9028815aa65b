"""``config/BEAMLINE.config``: the YAML file that beamlines of the Python DHS framework have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from devices.core.errors import ConfigurationError

DCSS_PORT: Final = 14242
JPEG_PORT: Final = 9000
#: Keys of a collection that keep their name.
LOOP_NUMBERS: Final = ("osci_delta", "osci_time", "video_fps")


@dataclass(frozen=True)
class DhsConfig:
    """What one hardware server is told.

    Attributes:
        dcss: HOST:PORT of DCSS. name: ours in the database of DCSS.
        settings: the section of this server: ``loopdhs`` or ``loop`` for the server ``loop``.
        log_dir: where the log goes beside the terminal; None: nowhere.
    """

    dcss: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    log_dir: Path | None = None

    @property
    def module(self) -> str:
        """The Python module whose functions are the operations."""
        return str(self.settings.get("module", f"servers.dhs.{self.name}"))


def read_config(folder: Path, beamline: str, server: str) -> DhsConfig:
    """The configuration of one server of a beamline.

    Raises:
        ConfigurationError: the file cannot be read, or has wrong entries, all of them.
    """
    path = folder / f"{beamline}.config"
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [str(error)]) from error
    if not isinstance(document, Mapping):
        raise ConfigurationError(str(path), ["is not a group of keys"])
    problems: list[str] = []
    dcss = _group(document, "dcss", problems)
    port = dcss.get("port", DCSS_PORT)
    if not isinstance(port, int) or not 0 < port < 65536:
        problems.append(f"dcss.port = {port!r} is no port")
    settings = dict(_group(document, server, problems) or _group(document, f"{server}dhs", problems))
    # Some files have these beside the section of the server.
    for name in ("automl", "axis", "jpeg_receiver"):
        settings.setdefault(name, _group(document, name, problems))
        if not isinstance(settings[name], Mapping):
            problems.append(f"{name} = {settings[name]!r:.60} is not a group of keys")
    if problems:
        raise ConfigurationError(str(path), problems)
    log_dir = settings.get("log_dir", document.get("log_dir"))
    return DhsConfig(
        dcss=f"{dcss.get('host', '127.0.0.1')}:{port}",
        name=str(settings.get("dhs_name", server)),
        settings=settings,
        log_dir=None if log_dir is None else Path(str(log_dir)),
    )


def loop_properties(config: DhsConfig) -> dict[str, Any]:
    """The properties of a loop detector that mean the same."""
    settings = config.settings
    found: dict[str, Any] = {"dcss": config.dcss, "dhs_name": config.name}
    found |= {name: str(settings[name]) for name in LOOP_NUMBERS if name in settings}
    automl, axis = settings["automl"], settings["axis"]
    if automl.get("host"):
        found["automl"] = f"{automl['host']}:{automl.get('port', 8501)}"
        found |= {"least_score": str(automl["threshold"])} if "threshold" in automl else {}
    if axis.get("host"):
        camera = f"?camera={axis['camera']}" if "camera" in axis else ""
        found["snapshot_url"] = f"http://{axis['host']}:{axis.get('port', 80)}/axis-cgi/jpg/image.cgi{camera}"
    folder = next((settings[key] for key in ("image_save_dir", "save_image_dir", "debug_dir") if key in settings), None)
    if settings.get("save_image_files") and folder:
        found["save_folder"] = str(folder)
    return found | {key: str(value) for key, value in (settings.get("properties") or {}).items()}


def _group(document: Mapping[str, Any], name: str, problems: list[str]) -> Mapping[str, Any]:
    found = document.get(name) or {}
    if not isinstance(found, Mapping):
        problems.append(f"{name} = {found!r:.60} is not a group of keys")
        return {}
    return found
