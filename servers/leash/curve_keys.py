"""The keys of an encrypted leash (ZeroMQ CURVE): a file for the server and one for its clients.

They are in the folder ``.saxsdogkeys`` beside the network file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devices.core.errors import BadValueError, ConfigurationError
from servers.facility.document import read_json, schema_problems
from servers.leash.endpoint import Endpoint
from servers.leash.private_file import open_to_others, write_private

FOLDER: Final = ".saxsdogkeys"
_KEY: Final = {"type": "string", "pattern": "^[!-~]{40}$"}


@dataclass(frozen=True)
class ServerKeys:
    """What an encrypted server has: its address, its pair of keys (Z85), and whom it lets in: name -> public key."""

    server: Endpoint
    public: str
    secret: str
    clients: Mapping[str, str]

    def __repr__(self) -> str:  # without the secret
        return f"ServerKeys({self.server}, {', '.join(self.clients)})"


@dataclass(frozen=True)
class ClientKeys:
    """What a client of it has: the server's address and public key, and a pair of its own."""

    server: Endpoint
    server_public: str
    public: str
    secret: str

    def __repr__(self) -> str:  # without the secret
        return f"ClientKeys({self.server})"


def make_keys(name: str, server: Endpoint, network: Path) -> tuple[Path, Path]:
    """New keys for the server ``name`` and for its clients; those of before no longer hold.

    Args:
        server: where it listens for encrypted requests.
        network: the network file.

    Returns:
        The files of the server and of the clients.
    """
    import zmq

    server_file, client_file = _files(network, name)
    server_file.parent.mkdir(mode=0o700, exist_ok=True)
    public, secret = (key.decode() for key in zmq.curve_keypair())
    client_public, client_secret = (key.decode() for key in zmq.curve_keypair())
    both = {"Server": str(server), "ServerKey": public}
    theirs = both | {"SecretKey": secret, "Clients": {"saxsleash": client_public}}
    write_private(server_file, json.dumps(theirs, indent=4) + "\n")
    ours = both | {"PublicKey": client_public, "SecretKey": client_secret}
    write_private(client_file, json.dumps(ours, indent=4) + "\n")
    return server_file, client_file


def read_server_keys(name: str, network: Path) -> ServerKeys | None:
    """The keys of the server ``name``; None when it has none, and is not encrypted.

    Raises:
        ConfigurationError: the file is faulty, or others may read it.
    """
    path = _files(network, name)[0]
    clients = {"type": "object", "additionalProperties": _KEY}
    found = _read(path, {"ServerKey": _KEY, "SecretKey": _KEY, "Clients": clients})
    return ServerKeys(found["Server"], found["ServerKey"], found["SecretKey"], found["Clients"]) if found else None


def read_client_keys(name: str, network: Path) -> ClientKeys | None:
    """The keys for clients of the server ``name``; None when there are none.

    Raises:
        ConfigurationError: the file is faulty, or others may read it.
    """
    path = _files(network, name)[1]
    found = _read(path, {"ServerKey": _KEY, "PublicKey": _KEY, "SecretKey": _KEY})
    return ClientKeys(found["Server"], found["ServerKey"], found["PublicKey"], found["SecretKey"]) if found else None


def _files(network: Path, name: str) -> tuple[Path, Path]:
    folder = network.parent / FOLDER
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)  # never a path
    return folder / f"{plain}.server.json", folder / f"{plain}.client.json"


def _read(path: Path, keys: Mapping[str, Any]) -> dict[str, Any] | None:
    if not path.exists():
        return None
    found: dict[str, Any] = read_json(path)
    known = {"Server": {"type": "string"}, **keys}
    schema = {"type": "object", "properties": known, "required": list(known), "additionalProperties": False}
    problems = schema_problems(found, schema)
    if warning := open_to_others(path):
        problems.append(warning)
    if not problems:
        try:
            return found | {"Server": Endpoint.parse(found["Server"])}
        except BadValueError as error:
            problems.append(f"Server: {error}")
    raise ConfigurationError(str(path), problems)
