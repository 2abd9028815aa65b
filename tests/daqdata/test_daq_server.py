"""``diptych daq server`` alone on a DAQ node: simulated frames, encryption, and clients who show who they are."""

from __future__ import annotations

import datetime
import ipaddress
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from servers.daqdata.client import DaqDataClient
from tests.daqdata.daq_nodes import config_of
from tests.support.serving import ROOT, wait_until

PEM = serialization.Encoding.PEM


class Authority:
    """Signs certificates; its own is ``certificate``, PEM."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, is_authority=True)

    def issue(self, name: str) -> tuple[bytes, bytes]:
        """A key and a certificate for 127.0.0.1, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        plain = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return plain, self._sign(subject, key, is_authority=False)

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(PEM)
        )


@contextmanager
def server(folder: Path, *options: str) -> Iterator[str]:
    """HOST:PORT of a server that simulates module 7 at 100 images per second; it ends by SIGTERM, with 0."""
    (folder / "first.json").write_text(
        json.dumps({"data_dir": "", "update_interval_seconds": 0.01, "simulate_daq": True, "force": True})
    )
    simulation = {"simulation_mode": "rpc", "sim_module_ids": [7], "update_interval_seconds": 0.01}
    (folder / "server.json").write_text(
        json.dumps(
            {
                "init_from_default": True,
                "default_hp_io_config_file": str(folder / "first.json"),
                "unix_domain_socket": f"unix://{folder}/daq.sock",
                "read_status_pipe_name": "read_status_2",
                "simulate_daq_cfg": simulation,
            }
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["-m", "servers.main", "daq", "server", "--config", str(folder / "server.json"), "--listen", host, *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until(lambda: (folder / "daq.sock").exists() or process.poll() is not None, 30.0, "it listens")
        assert process.poll() is None, (folder / "log").read_text()
        yield host
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20.0)
    assert code == 0, (folder / "log").read_text()


def modules(host: str, credentials: grpc.ChannelCredentials | None) -> list[int]:
    """Of the first images of a stream; raises ConnectionError when the node does not answer."""
    with DaqDataClient(config_of(host), None, credentials=credentials) as client:
        wait_until(lambda: client.ping(host), 5.0, "the node answers")
        images = client.stream_images(host, True, False, 0.0, wait_for_ready=True, timeout=20.0)
        return [image["module_id"] for image in islice(images, 20)]


def pings(host: str, credentials: grpc.ChannelCredentials | None) -> bool:
    with DaqDataClient(config_of(host), None, credentials=credentials) as client:
        return bool(client.ping(host, timeout=2.0))


def test_a_server_alone_streams_what_its_configuration_simulates(tmp_path: Path) -> None:
    with server(tmp_path) as host:
        assert modules(host, None) == [7] * 20
        assert pings(f"unix://{tmp_path}/daq.sock", None)
    assert not (tmp_path / "daq.sock").exists()


@pytest.mark.long
def test_clients_need_a_certificate_of_the_authority_that_the_server_names(tmp_path: Path) -> None:
    observatory, elsewhere = Authority("observatory"), Authority("elsewhere")
    key, certificate = observatory.issue("daq")
    for name, content in {"key": key, "certificate": certificate, "authority": observatory.certificate}.items():
        (tmp_path / name).write_bytes(content)
    options = [f"--{name}={tmp_path / path}" for name, path in
               {"certificate": "certificate", "key": "key", "client-authority": "authority"}.items()]  # fmt: skip
    with server(tmp_path, *options) as host:
        observer = grpc.ssl_channel_credentials(observatory.certificate, *observatory.issue("observer"))
        assert modules(host, observer) == [7] * 20
        stranger = grpc.ssl_channel_credentials(observatory.certificate, *elsewhere.issue("stranger"))
        nobody = grpc.ssl_channel_credentials(observatory.certificate)
        misled = grpc.ssl_channel_credentials(elsewhere.certificate, *observatory.issue("observer"))
        for credentials in (stranger, nobody, misled, None):
            assert not pings(host, credentials)


@pytest.mark.long
def test_who_encrypts_only_needs_the_authority_of_the_server(tmp_path: Path) -> None:
    observatory = Authority("observatory")
    key, certificate = observatory.issue("daq")
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "certificate").write_bytes(certificate)
    with server(tmp_path, f"--certificate={tmp_path / 'certificate'}", f"--key={tmp_path / 'key'}") as host:
        assert modules(host, grpc.ssl_channel_credentials(observatory.certificate)) == [7] * 20
        assert not pings(host, grpc.ssl_channel_credentials(Authority("elsewhere").certificate))
        assert not pings(host, None)
