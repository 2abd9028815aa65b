"""The client of DAQ nodes for asyncio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty

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
from servers.daqdata.client_tasks import ImageStream, upload_to_all
from servers.daqdata.daq_data_pb2 import PanoImage
from servers.daqdata.stub import reflection_requests, reflection_text


class AioDaqDataClient(ClientBase):
    """A client of one or several DAQ nodes, used in an ``async with`` block.

    The block ends quietly when a node goes away, a call fails or a stream is cancelled, and by Ctrl-C; the log says
    why. A task that is cancelled stays so.

    Args:
        daq_config, network_config: paths or dictionaries; see client_nodes.daq_nodes.
        stop_event: ends all streams once it is set.
        credentials: for nodes that are reached by TLS (grpc.ssl_channel_credentials).
        token: for nodes that want one.
    Raises:
        ValueError, FileNotFoundError: of the configurations.
    """

    def __init__(
        self,
        daq_config: Config,
        network_config: Config | None,
        stop_event: asyncio.Event | None = None,
        log_level: int = logging.INFO,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__(daq_config, network_config, log_level, credentials, token)
        self._stop_event = stop_event

    async def __aenter__(self) -> Self:
        self._open(grpc.aio)
        await self.get_valid_daq_hosts()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for entry in self.daq_nodes.values():
            await entry["channel"].close()
            entry["stub"] = None
        expected = isinstance(error, ConnectionError | grpc.RpcError | grpc.FutureCancelledError | KeyboardInterrupt)
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            expected = task is None or not task.cancelling()
        if expected:
            self.logger.warning("the client ends: %r", error)
        return expected

    async def ping(self, host: str, timeout: float = PING_TIMEOUT_S) -> bool:
        """Whether a node answers within ``timeout`` s; False for one that is not configured."""
        return host in self.daq_nodes and host in await self._answering([host], timeout)

    async def get_valid_daq_hosts(self) -> list[str]:
        """The hosts that answer now."""
        return await self._answering(list(self.daq_nodes))

    async def get_daq_host_status(self) -> dict[str, bool]:
        """Whether each node answers now, by its address."""
        valid = await self.get_valid_daq_hosts()
        return {entry["connection_target"]: host in valid for host, entry in self.daq_nodes.items()}

    async def is_daq_host_valid(self, host: str) -> bool:
        """Whether a node answers now; False for one that is not configured."""
        return await self.ping(host)

    async def validate_daq_hosts(self, hosts: Hosts) -> list[str]:
        """The given hosts, all of which answer; without any, all that do.

        Raises:
            ConnectionError: one does not answer, or none does. ValueError: ``hosts`` is neither text nor a collection.
        """
        named = self._named(hosts)
        return self._validated(named, await self._answering(self._asked(named)))

    async def reflect_services(self, hosts: Hosts) -> str:
        """What services the nodes have, as text with rich's markup."""
        texts = []
        for host in await self.validate_daq_hosts(hosts):
            call = self._stub(host).ServerReflectionInfo(reflection_requests())
            answers = [answer async for answer in call]
            texts.append(reflection_text(self.daq_nodes[host]["connection_target"], answers))
        return "".join(texts)

    async def init_hp_io(self, hosts: Hosts, hp_io_cfg: Mapping[str, Any], timeout: float = 10.0) -> bool:
        """Choose where the nodes take their frames from, all at once.

        Args:
            hp_io_cfg: ``data_dir``, ``update_interval_seconds``, ``simulate_daq``, ``force``, ``module_ids``.
        Returns:
            Whether all nodes did; why one did not is in the log.
        Raises:
            ConnectionError: see validate_daq_hosts. grpc.RpcError: a node refused.
        """
        valid = await self.validate_daq_hosts(hosts)
        request = init_request(hp_io_cfg, hp_io_cfg.get("data_dir", ""))
        calls = [self._stub(host).InitHpIo(request, timeout=timeout) for host in valid]
        try:
            answers = await asyncio.gather(*calls)
        except grpc.RpcError as error:
            self.logger.error("a node was not initialised: %s", details_of(error))
            raise
        for host, answer in zip(valid, answers, strict=True):
            if not answer.success:
                self.logger.error("%s was not initialised: %s", host, answer.error_message)
        return all(answer.success for answer in answers)

    async def init_sim(self, hosts: Hosts, hp_io_cfg: Mapping[str, Any] | None = None, timeout: float = 5.0) -> bool:
        """Have the nodes simulate; the same as init_hp_io, with a configuration that says so."""
        return await self.init_hp_io(hosts, simulation(hp_io_cfg), timeout)

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
    ) -> ImageStream:
        """Images of all given nodes as they come; ``async for`` over it, or over what an ``await`` of it gives.

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
        request = stream_request(stream_movie_data, stream_pulse_height_data, update_interval_seconds, module_ids)

        def opener(host: str) -> Callable[[], Any]:
            stub = self._stub(host)
            return lambda: stub.StreamImages(request, timeout=timeout, wait_for_ready=wait_for_ready)

        async def connect() -> dict[str, Callable[[], Any]]:
            if wait_for_ready:
                valid = self._named(hosts) or list(self.daq_nodes)
            else:
                valid = await self.validate_daq_hosts(hosts)
            return {host: opener(host) for host in valid}

        images = partial(self._images, parsed=parse_pano_images)
        return ImageStream(connect, images, self.logger, retry=wait_for_ready, stop=self._stop_event)

    async def upload_images(self, hosts: Hosts, image_iterator: AsyncIterable[PanoImage] | Iterable[PanoImage]) -> None:
        """Send images to all given nodes; each gets all of them.

        Raises:
            ConnectionError: see validate_daq_hosts. grpc.RpcError: a node refused.
        """
        valid = await self.validate_daq_hosts(hosts)
        await upload_to_all([self._stub(host).UploadImages for host in valid], image_iterator)

    async def _answering(self, hosts: list[str], timeout: float = PING_TIMEOUT_S) -> list[str]:
        """Those of these hosts that answer; all are asked at once."""
        calls = [self._stub(host).Ping(Empty(), timeout=timeout, wait_for_ready=True) for host in hosts]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        valid = [host for host, answer in zip(hosts, answers, strict=True) if isinstance(answer, Empty)]
        return self._noted(hosts, valid)
