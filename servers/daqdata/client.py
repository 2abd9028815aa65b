"""Clients of DAQ nodes, blocking (DaqDataClient) and asyncio (AioDaqDataClient), as scripts of PANOSETI use them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.empty_pb2 import Empty

from servers.daqdata.client_aio import AioDaqDataClient
from servers.daqdata.client_base import (
    PING_TIMEOUT_S,
    ClientBase,
    Hosts,
    details_of,
    init_request,
    simulation,
    stream_request,
)
from servers.daqdata.client_nodes import Config
from servers.daqdata.client_threads import Upload, merged
from servers.daqdata.daq_data_pb2 import PanoImage, StreamImagesResponse, UploadImageRequest
from servers.daqdata.stub import reflection_requests, reflection_text

__all__ = ["AioDaqDataClient", "DaqDataClient"]


class DaqDataClient(ClientBase):
    """A blocking client of one or several DAQ nodes, used in a ``with`` block.

    The block ends quietly when a node goes away or a call fails, and by Ctrl-C; the log says why.

    Args:
        daq_config, network_config: paths or dictionaries; see client_nodes.daq_nodes.
        credentials: for nodes that are reached by TLS (grpc.ssl_channel_credentials).
        token: for nodes that want one.
    Raises:
        ValueError, FileNotFoundError: of the configurations.
    """

    def __init__(
        self,
        daq_config: Config,
        network_config: Config | None,
        log_level: int = logging.INFO,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__(daq_config, network_config, log_level, credentials, token)

    def __enter__(self) -> Self:
        self._open(grpc)
        self.get_valid_daq_hosts()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for entry in self.daq_nodes.values():
            entry["channel"].close()
            entry["stub"] = None
        expected = isinstance(error, ConnectionError | grpc.RpcError | grpc.FutureCancelledError | KeyboardInterrupt)
        if expected:
            self.logger.warning("the client ends: %r", error)
        return expected

    def ping(self, host: str, timeout: float = PING_TIMEOUT_S) -> bool:
        """Whether a node answers within ``timeout`` s; False for one that is not configured."""
        return host in self.daq_nodes and host in self._answering([host], timeout)

    def get_valid_daq_hosts(self) -> list[str]:
        """The hosts that answer now."""
        return self._answering(list(self.daq_nodes))

    def get_daq_host_status(self) -> dict[str, bool]:
        """Whether each node answers now, by its address."""
        valid = self.get_valid_daq_hosts()
        return {entry["connection_target"]: host in valid for host, entry in self.daq_nodes.items()}

    def is_daq_host_valid(self, host: str) -> bool:
        """Whether a node answers now; False for one that is not configured."""
        return self.ping(host)

    def validate_daq_hosts(self, hosts: Hosts) -> list[str]:
        """The given hosts, all of which answer; without any, all that do.

        Raises:
            ConnectionError: one does not answer, or none does. ValueError: ``hosts`` is neither text nor a collection.
        """
        named = self._named(hosts)
        return self._validated(named, self._answering(self._asked(named)))

    def reflect_services(self, hosts: Hosts) -> str:
        """What services the nodes have, as text with rich's markup."""
        return "".join(
            reflection_text(
                self.daq_nodes[host]["connection_target"],
                self._stub(host).ServerReflectionInfo(iter(reflection_requests())),
            )
            for host in self.validate_daq_hosts(hosts)
        )

    def init_hp_io(self, hosts: Hosts, hp_io_cfg: Mapping[str, Any], timeout: float = 10.0) -> bool:
        """Choose where the nodes take their frames from.

        Args:
            hp_io_cfg: ``update_interval_seconds``, ``simulate_daq``, ``force``, ``module_ids``; ``data_dir`` is that of
                the node in daq_config, or of this.
        Returns:
            Whether all nodes did; why one did not is in the log.
        """
        calls = {}
        for host in self.validate_daq_hosts(hosts):
            data_dir = self.daq_nodes[host]["config"].get("data_dir") or hp_io_cfg.get("data_dir", "")
            calls[host] = self._stub(host).InitHpIo.future(init_request(hp_io_cfg, data_dir), timeout=timeout)
        results = [self._initialised(host, call) for host, call in calls.items()]  # every node's fault goes to the log
        return all(results)

    def init_sim(self, hosts: Hosts, hp_io_cfg: Mapping[str, Any] | None = None, timeout: float = 10.0) -> bool:
        """Have the nodes simulate; the same as init_hp_io, with a configuration that says so."""
        return self.init_hp_io(hosts, simulation(hp_io_cfg), timeout)

    def stream_images(
        self,
        hosts: Hosts,
        stream_movie_data: bool,
        stream_pulse_height_data: bool,
        update_interval_seconds: float,
        module_ids: Iterable[int] = (),
        wait_for_ready: bool = False,
        parse_pano_images: bool = True,
        timeout: float | None = None,
    ) -> Iterator[Any]:
        """Images of all given nodes as they come; the nodes do not wait for each other.

        Args:
            update_interval_seconds: 0: every image; more: the newest of each interval; less: of the
                interval of the node.
            module_ids: none: all.
            wait_for_ready: wait for nodes that do not answer yet or are being configured.
            parse_pano_images: dictionaries (servers.daqdata.decode); otherwise StreamImagesResponse.
            timeout: s, after which it ends with DEADLINE_EXCEEDED; None: never.
        Raises:
            ConnectionError: see validate_daq_hosts. grpc.RpcError: a node refused. When one goes away, or is configured
                anew, its images end, and the others' go on.
        """
        named = self._named(hosts) or list(self.daq_nodes)
        valid = named if wait_for_ready else self.validate_daq_hosts(hosts)
        request = stream_request(stream_movie_data, stream_pulse_height_data, update_interval_seconds, module_ids)

        def opener(host: str) -> Callable[[], Any]:
            stub = self._stub(host)
            return lambda: stub.StreamImages(request, timeout=timeout, wait_for_ready=wait_for_ready)

        responses = merged({host: opener(host) for host in valid}, self.logger, retry=wait_for_ready)
        return self._parsed(responses, parse_pano_images)

    def upload_images(self, hosts: Hosts, image_iterator: Iterable[PanoImage]) -> None:
        """Send images to all given nodes; each gets all of them.

        Raises:
            ConnectionError: see validate_daq_hosts. grpc.RpcError: a node refused.
        """
        uploads = [Upload(self._stub(host).UploadImages) for host in self.validate_daq_hosts(hosts)]
        try:
            for image in image_iterator:
                request = UploadImageRequest(pano_image=image).SerializeToString()
                for upload in uploads:
                    upload.put(request)
            for upload in uploads:
                upload.put(None)
            for upload in uploads:
                upload.call.result()
        finally:
            for upload in uploads:
                upload.cancel()

    def _answering(self, hosts: list[str], timeout: float = PING_TIMEOUT_S) -> list[str]:
        """Those of these hosts that answer; all are asked at once."""
        calls = {host: self._stub(host).Ping.future(Empty(), timeout=timeout, wait_for_ready=True) for host in hosts}
        valid = [host for host, call in calls.items() if call.exception() is None]
        return self._noted(hosts, valid)

    def _initialised(self, host: str, call: Any) -> bool:
        try:
            answer = call.result()
        except grpc.RpcError as error:
            self.logger.error("%s was not initialised: %s", host, details_of(error))
            return False
        if not answer.success:
            self.logger.error("%s was not initialised: %s", host, answer.error_message)
        return bool(answer.success)

    def _parsed(
        self, responses: Generator[bytes, None, None], parsed: bool
    ) -> Iterator[dict[str, Any] | StreamImagesResponse]:
        with closing(responses):
            for data in responses:
                yield from self._images(data, parsed=parsed)
