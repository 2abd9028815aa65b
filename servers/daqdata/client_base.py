"""What both clients of DAQ nodes have in common: their nodes, what they ask, what they make of the answers."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypedDict

import grpc
from google.protobuf.message import DecodeError

from devices.core.errors import BadValueError, NotAllowedError, NotConnectedError, ProtocolError, UnknownNameError
from servers.daqdata.client_nodes import Config, DaqNode, daq_nodes
from servers.daqdata.daq_data_pb2 import InitHpIoRequest, StreamImagesRequest, StreamImagesResponse
from servers.daqdata.decode import decode_response
from servers.daqdata.stub import RawDaqDataStub

DEFAULT_PORT: Final = 50051
#: How long a node that is being configured is left alone before it is asked again.
RETRY_S: Final = 0.2
PING_TIMEOUT_S: Final = 0.3
#: Images, of all nodes of a stream, that wait for who takes them; more wait at the nodes, which count what they drop.
MAX_WAITING: Final = 256
OPTIONS: Final = (("grpc.max_receive_message_length", 16 << 20),)

SIMULATION: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "data_dir": "simulated_data_dir",
        "update_interval_seconds": 0.1,
        "force": True,
        "simulate_daq": True,
        "module_ids": [],
    }
)

Hosts = str | Collection[str] | None


class NodeEntry(TypedDict):
    """What a client keeps of a node; channel and stub are None outside of ``with``."""

    node: DaqNode
    config: Mapping[str, Any]
    connection_target: str
    channel: Any
    stub: RawDaqDataStub | None


class ClientBase:
    """The nodes of a client, by host.

    Attributes:
        GRPC_PORT: of nodes whose ``ip_addr`` says none; may be set on the class or a client before ``with``.
        daq_nodes: by host, as the configuration names it.
        valid_daq_hosts: those that answered the last ping.
    """

    GRPC_PORT = DEFAULT_PORT

    def __init__(
        self,
        daq_config: Config,
        network_config: Config | None,
        log_level: int,
        credentials: grpc.ChannelCredentials | None,
        token: str | None,
    ) -> None:
        self.logger = logging.getLogger("daq_data.client")
        self.logger.setLevel(log_level)
        self._credentials, self._token = credentials, token
        self.valid_daq_hosts: set[str] = set()
        self.daq_nodes: dict[str, NodeEntry] = {
            node.host: NodeEntry(
                node=node, config=node.config, connection_target=node.target(self.GRPC_PORT), channel=None, stub=None
            )
            for node in daq_nodes(daq_config, network_config)
        }

    def _open(self, api: Any) -> None:
        """Make the channels; ``api`` is grpc or grpc.aio."""
        for entry in self.daq_nodes.values():
            target = entry["connection_target"] = entry["node"].target(self.GRPC_PORT)
            if self._credentials is None or entry["node"].is_local:
                entry["channel"] = api.insecure_channel(target, options=OPTIONS)
            else:
                entry["channel"] = api.secure_channel(target, self._credentials, options=OPTIONS)
            entry["stub"] = RawDaqDataStub(entry["channel"], self._token)

    def _stub(self, host: str) -> RawDaqDataStub:
        try:
            stub = self.daq_nodes[host]["stub"]
        except KeyError:
            raise UnknownNameError(f"{host!r} is no DAQ node; there are {', '.join(self.daq_nodes)}") from None
        if stub is None:
            raise NotAllowedError("a client connects by `with`; it is not connected now")
        return stub

    def _named(self, hosts: Hosts) -> list[str]:
        """The hosts of an argument, each once; none: all that are meant.

        Raises:
            BadValueError (a ValueError): it is no such argument.
        """
        if hosts is None:
            return []
        if isinstance(hosts, str):
            return [hosts] if hosts else []
        if not isinstance(hosts, Collection) or not all(isinstance(host, str) for host in hosts):
            raise BadValueError(f"hosts={hosts!r} must be a non-empty str, list of str, or None, got {type(hosts)}")
        return list(dict.fromkeys(hosts))

    def _asked(self, named: list[str]) -> list[str]:
        """Whom to ping of these; none: all."""
        return [host for host in named if host in self.daq_nodes] if named else list(self.daq_nodes)

    def _noted(self, asked: list[str], valid: list[str]) -> list[str]:
        self.valid_daq_hosts.difference_update(asked)
        self.valid_daq_hosts.update(valid)
        return valid

    def _validated(self, named: list[str], valid: list[str]) -> list[str]:
        """Raises NotConnectedError (a ConnectionError)."""
        for host in named:
            if host not in valid:
                raise NotConnectedError(f"host={host!r} does not answer; valid daq_hosts: {self.valid_daq_hosts}")
        if not valid:
            raise NotConnectedError(f"No valid daq hosts found: none of {', '.join(self.daq_nodes)} answers")
        return valid

    def _images(self, data: bytes, *, parsed: bool) -> list[dict[str, Any] | StreamImagesResponse]:
        """The image of a response; none when it is malformed, which goes to the log: others follow."""
        try:
            return [decode_response(data) if parsed else StreamImagesResponse.FromString(data)]
        except (BadValueError, ProtocolError, DecodeError) as error:
            self.logger.warning("an image is left out: %s", error)
            return []


def stream_request(
    movies: bool, pulse_heights: bool, interval_s: float, module_ids: Iterable[int]
) -> StreamImagesRequest:
    """Raises ValueError or TypeError: a module is no uint32."""
    return StreamImagesRequest(
        stream_movie_data=movies,
        stream_pulse_height_data=pulse_heights,
        update_interval_seconds=interval_s,
        module_ids=list(module_ids),
    )


def init_request(config: Mapping[str, Any], data_dir: str) -> InitHpIoRequest:
    """Raises BadValueError (a ValueError): a key is missing."""
    try:
        return InitHpIoRequest(
            data_dir=data_dir,
            update_interval_seconds=config["update_interval_seconds"],
            force=config.get("force", False),
            simulate_daq=config["simulate_daq"],
            module_ids=config.get("module_ids") or [],
        )
    except KeyError as error:
        raise BadValueError(f"hp_io_cfg has no {error}: {dict(config)}") from error


def simulation(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The configuration of a simulated run.

    Raises:
        BadValueError (a ValueError): it is not that of one.
    """
    found = SIMULATION if config is None else config
    if found.get("simulate_daq") is not True:
        raise BadValueError(f"simulate_daq = {found.get('simulate_daq')!r} must be True for a simulation")
    return found


def is_expected_end(error: grpc.RpcError) -> bool:
    """Whether a stream ended because its node did, or because it is being configured anew."""
    return code_of(error) in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


def code_of(error: grpc.RpcError) -> grpc.StatusCode | None:
    code = getattr(error, "code", None)
    return code() if callable(code) else None


def details_of(error: grpc.RpcError) -> str:
    details = getattr(error, "details", None)
    return str(details() if callable(details) else error)
