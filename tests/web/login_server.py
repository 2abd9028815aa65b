"""A web server with logins, in the loop of the test, and what a browser does with it."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from servers.facility.web_settings import web_settings
from servers.web.server import WebConfig, serve
from tests.facility.running import free_port

PVA = {"EPICS_PVA_ADDR_LIST": "127.0.0.1", "EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVA_BROADCAST_PORT": "1"}
PASSWORDS = {"anna": "4.2 K is cold", "bert": "77 K is less so", "carl": "300 K is room"}
TOKEN = "W" * 40
ROLES = {"anna": "operate", "bert": "view", "carl": "expert"}
DEADLINE_S = 10.0


def write_files(folder: Path) -> None:
    """Files of three people and one token."""
    for name, text in (("users", _people()), ("tokens", f"wall:{TOKEN}")):
        (folder / name).write_text(text + "\n")
        (folder / name).chmod(0o600)


@cache
def _people() -> str:
    hashed = {name: bcrypt.hashpw(each.encode(), bcrypt.gensalt(10)).decode() for name, each in PASSWORDS.items()}
    return "\n".join(f"{name}:{each}" for name, each in hashed.items())


class LoginServer:
    """A server that runs; paths of all requests begin with ``/``."""

    def __init__(self, config: WebConfig, session: aiohttp.ClientSession) -> None:
        self.config, self.session = config, session
        self.address = f"{config.settings.scheme}://127.0.0.1:{config.port}"

    async def get(self, path: str, **headers: str) -> tuple[int, str, Mapping[str, str]]:
        async with self.session.get(self.address + path, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(errors="replace"), answer.headers

    async def log_in(self, name: str, password: str | None = None, **headers: str) -> tuple[int, str]:
        """What the form does; the cookie stays in the session."""
        fields = {"name": name, "password": PASSWORDS[name] if password is None else password}
        return await self.post("/login", fields, **headers)

    async def post(self, path: str, fields: Mapping[str, str] | bytes, **headers: str) -> tuple[int, str]:
        headers = {"Origin": self.address, **headers}
        async with self.session.post(
            self.address + path, data=fields, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text()

    def cookies(self) -> dict[str, Any]:
        return {cookie.key: cookie for cookie in self.session.cookie_jar}

    def audit(self) -> list[dict[str, Any]]:
        assert self.config.audit_path is not None
        return [json.loads(line) for line in self.config.audit_path.read_text().splitlines()]


def config_of(folder: Path, web: Mapping[str, Any], **more: Any) -> WebConfig:
    """As ``diptych web`` makes it of the key ``web`` of a facility file."""
    (folder / "opi").mkdir(exist_ok=True)
    (folder / "opi" / "tiny.bob").write_text("<display/>")
    settings, problems = web_settings(web, folder)
    assert not problems
    first: dict[str, Any] = {"facility": "lab", "pva": PVA, "mirrors": []}
    return WebConfig(
        **first | more, panels=folder / "opi", port=free_port(), settings=settings, audit_path=folder / "audit.jsonl"
    )


@asynccontextmanager
async def serving(config: WebConfig) -> AsyncIterator[LoginServer]:
    stop = asyncio.Event()
    server = asyncio.create_task(serve(config, stop))
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of addresses, too
    untrusting = aiohttp.TCPConnector(ssl=False)
    try:
        async with aiohttp.ClientSession(cookie_jar=jar, connector=untrusting) as session:
            await _until_listening(config.port, server)
            yield LoginServer(config, session)
    finally:
        stop.set()
        await server


async def _until_listening(port: int, server: asyncio.Task[None]) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not server.done():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    server.result()


def with_server(config: WebConfig, work: Callable[[LoginServer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(config) as server:
            await work(server)

    asyncio.run(asyncio.wait_for(run(), 60.0))


async def eventually(question: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not await question():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


def write_certificate(folder: Path, name: str = "lab.test") -> None:
    """``lab.crt`` and ``lab.key``: one that signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "lab.crt").write_bytes(certificate.public_bytes(pem))
    (folder / "lab.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "lab.key").chmod(0o600)


def trusting(folder: Path) -> ssl.SSLContext:
    """A client that believes the certificate and nothing else."""
    return ssl.create_default_context(cafile=str(folder / "lab.crt"))
