"""Logins: who asks, what of it is answered without one, and the forms to come and to go."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from servers.epics.audit import Audit
from servers.facility.web_settings import Network, WebSettings
from servers.web.login import form
from servers.web.login.brake import Brake
from servers.web.login.credentials import Credentials
from servers.web.login.person import ANYBODY, NAME, VISITOR, person_of
from servers.web.login.sessions import Session, Sessions
from servers.web.login.visitor import Visitor, introduce
from servers.web.origin import is_own_host, is_own_page

log = logging.getLogger(__name__)

#: All that is answered without a login.
OPEN: Final = frozenset({"/login", "/logout", "/login.css", "/login.js"})
OF_ADDRESS, OF_NAME = (20, 600.0), (10, 600.0)  # failed logins, in s
CHECKERS: Final = 2  # passwords that are compared at a time: it is slow on purpose
MAX_NAME: Final = 80  # characters that are looked at; real ones are shorter
MAX_WAITING: Final = 16  # logins that wait for that
FORM_S: Final = 10.0  # for a form to come
TICK_S: Final = 0.5
TOKEN_AGE_S: Final = 365 * 86400
WRONG: Final = "The name or the password is wrong."
BUSY: Final = "Too many people log in at this moment: try again."


class Logins:
    """The door of the web server.

    Args:
        settings: who may come, and how.
        facility: its name, for the form.
        port: of the server; cookies of several servers of one host are told apart by it.

    Raises:
        ConfigurationError: a file of users, tokens or TLS is faulty.
    """

    def __init__(self, settings: WebSettings, facility: str, port: int, audit: Audit) -> None:
        self.settings, self.audit = settings, audit
        self.sessions = Sessions()
        self._credentials = Credentials(settings)
        self._everybody = Session(VISITOR if settings.is_anonymous else ANYBODY)
        self._form = form.form(facility, has_users=bool(settings.users), has_tokens=bool(settings.tokens))
        self._addresses, self._names = Brake(*OF_ADDRESS), Brake(*OF_NAME)
        self._checkers = ThreadPoolExecutor(CHECKERS, thread_name_prefix="login")
        self._waiting = 0
        secure = "__Host-" if settings.is_secure else ""
        self._session_cookie, self._token_cookie = f"{secure}diptych_{port}", f"{secure}diptych_token_{port}"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What the server speaks TLS with; None when it does not."""
        return self._credentials.tls

    def add_routes(self, app: web.Application) -> None:
        """Routes of the forms, and the check before all routes."""

        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._admit(request)
            return await handler(request)

        app.middlewares.append(admit)
        if not self.settings.asks_who:
            return
        app.router.add_get("/login", self._show_form)
        app.router.add_post("/login", self._log_in)
        app.router.add_post("/logout", self._log_out)
        for name in form.TYPES:
            app.router.add_get(f"/{name}", form.asset)

    async def follow(self) -> None:
        """End what is overdue, and adopt files that changed, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            for key, _ in self.sessions.all:
                self.sessions.find(key)
            if await self._credentials.refresh():
                for key, session in self.sessions.all:
                    if not self._credentials.holds(session.credential):
                        self.sessions.end(key, "the password or token is no longer valid")

    def close(self) -> None:
        self._checkers.shutdown(cancel_futures=True)
        self.audit.close()

    # Who asks -----------------------------------------------------------------------------------------------------

    def _admit(self, request: web.Request) -> None:
        """Do nothing but note who it is; raises the answer to whom does not come in."""
        settings, peer = self.settings, str(request.remote)
        is_local = ipaddress.ip_address(peer).is_loopback
        if settings.tls_proxies and not is_local and not _is_in(peer, settings.tls_proxies):
            raise web.HTTPForbidden(text="this server is reached by its proxy only")
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        names = (*settings.names, _own_address(request))
        if not is_own_host(host, names):
            raise web.HTTPForbidden(text="this server has another name")
        if not is_own_page(host, origin, settings.origins):
            log.warning("%s: a page of %s may not use %s", peer, origin, host)
            raise web.HTTPForbidden(text=f"a page of {origin} may not use this server")
        if _resource(request) not in OPEN or not settings.asks_who:
            session = self._session(request)
            if session is None:
                raise self._unknown(request)
            session.touch()
            introduce(request, Visitor(session, self._address(request)))

    def _session(self, request: web.Request) -> Session | None:
        """Whose request it is; None for nobody who may come."""
        settings = self.settings
        if (name := self._forwarded_name(request)) is not None:
            return self._session_of_forwarded(name, self._address(request))
        authorization = request.headers.get("Authorization", "")
        if authorization.startswith("Bearer "):
            return self._session_of_token(authorization.removeprefix("Bearer "))
        if (cookie := request.cookies.get(self._session_cookie)) and (session := self.sessions.find(cookie)):
            return session
        if (cookie := request.cookies.get(self._token_cookie)) and (session := self._session_of_token(cookie)):
            return session
        return None if settings.has_logins and not settings.is_anonymous else self._everybody

    def _forwarded_name(self, request: web.Request) -> str | None:
        """Who logged in at the proxy; None when it says nothing, or is not believed."""
        forwarded = self.settings.forwarded_user
        if forwarded is None or not (names := request.headers.getall(forwarded.header, [])):
            return None
        if not _is_in(str(request.remote), forwarded.proxies):
            log.warning("%s sends %s and is not the proxy: it is not believed", request.remote, forwarded.header)
            return None
        if len(names) != 1 or not NAME.fullmatch(names[0]):
            raise web.HTTPForbidden(text=f"{forwarded.header} of the proxy has no name that can be used here")
        return names[0]

    def _session_of_forwarded(self, name: str, address: str) -> Session:
        key = ("forwarded", name, address)
        if session := self.sessions.find(key):
            return session
        person = person_of(name, self.settings)
        self._note("login at the proxy", name, address, person.role)
        return self.sessions.keep(key, Session(person, None, self.settings.idle_s, self.settings.absolute_s))

    def _session_of_token(self, token: str) -> Session | None:
        if (owner := self._credentials.tokens.owner(token)) is None:
            return None
        key = ("token", owner)
        return self.sessions.find(key) or self.sessions.keep(key, Session(person_of(owner, self.settings), token))

    def _address(self, request: web.Request) -> str:
        """Where the browser is; a proxy that is believed says it (the last address is its own finding)."""
        peer = str(request.remote)
        forwarded = self.settings.forwarded_user.proxies if self.settings.forwarded_user else ()
        if _is_in(peer, (*(self.settings.tls_proxies or ()), *forwarded)):
            said = ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()
            try:
                return str(ipaddress.ip_address(said))
            except ValueError:
                pass  # it says nothing
        return peer

    def _unknown(self, request: web.Request) -> web.HTTPException:
        """A person is shown the form, a program is told."""
        if request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", ""):
            up = "../" * (request.path.count("/") - 1)  # a proxy may have put it below another path
            return web.HTTPSeeOther(f"{up}login")
        return web.HTTPUnauthorized(text="log in first", headers={"WWW-Authenticate": "Bearer"})

    # Coming and going ---------------------------------------------------------------------------------------------

    async def _show_form(self, _: web.Request) -> web.Response:
        has_form = self.settings.users or self.settings.tokens
        return form.page(self._form, "" if has_form else form.NO_PASSWORDS)

    async def _log_in(self, request: web.Request) -> web.Response:
        try:
            posted = await asyncio.wait_for(request.post(), FORM_S)
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the form did not come") from None
        fields = {key: value for key, value in posted.items() if isinstance(value, str)}
        address = self._address(request)
        if "token" in fields:
            return self._log_in_with_token(fields["token"].strip(), address)
        name = fields.get("name", "")[:MAX_NAME]
        if wait := max(self._addresses.wait(address), self._names.wait(name)):
            text = f"Too many failed logins from {address} or as {name}: try again in {wait:.0f} s."
            return form.page(self._form, text, name, HTTPStatus.TOO_MANY_REQUESTS, wait)
        if self._waiting >= MAX_WAITING:
            return form.page(self._form, BUSY, name, HTTPStatus.SERVICE_UNAVAILABLE, 1.0)
        self._addresses.count(address)  # before the answer: many at once are no way around
        self._names.count(name)
        users = self._credentials.users
        self._waiting += 1
        try:
            check = asyncio.get_running_loop().run_in_executor
            is_right = await check(self._checkers, users.check, name, fields.get("password", ""))
        finally:
            self._waiting -= 1
        if not is_right:
            self._note("login refused", name, address)
            return form.page(self._form, WRONG, name, HTTPStatus.FORBIDDEN)
        self._addresses.count(address, -1)
        self._names.forget(name)
        self.sessions.end(request.cookies.get(self._session_cookie), "another login came in its place")
        person = person_of(name, self.settings)
        session = Session(person, users.hashes[name], self.settings.idle_s, self.settings.absolute_s)
        self._note("login", name, address, person.role)
        return self._come(self._session_cookie, self.sessions.begin(session), round(self.settings.absolute_s))

    def _log_in_with_token(self, token: str, address: str) -> web.Response:
        if wait := self._addresses.wait(address):
            text = f"Too many failed logins from {address}: try again in {wait:.0f} s."
            return form.page(self._form, text, status=HTTPStatus.TOO_MANY_REQUESTS, retry_s=wait)
        session = self._session_of_token(token)
        if session is None:
            self._addresses.count(address)
            self._note("login refused", "", address)
            return form.page(self._form, "The token is wrong.", status=HTTPStatus.FORBIDDEN)
        self._note("login with a token", session.person.name, address, session.person.role)
        return self._come(self._token_cookie, token, TOKEN_AGE_S)

    def _come(self, cookie: str, value: str, seconds: int) -> web.Response:
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "./", "Cache-Control": "no-store"})
        secure = self.settings.is_secure
        answer.set_cookie(cookie, value, max_age=seconds, path="/", httponly=True, secure=secure, samesite="Strict")
        return answer

    async def _log_out(self, request: web.Request) -> web.Response:
        ended = self.sessions.end(request.cookies.get(self._session_cookie), "logged out")
        if ended is not None:
            self._note("logout", ended.person.name, self._address(request))
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "login", "Cache-Control": "no-store"})
        for cookie in (self._session_cookie, self._token_cookie):
            answer.del_cookie(cookie, path="/", httponly=True, secure=self.settings.is_secure, samesite="Strict")
        return answer

    def _note(self, event: str, name: str, address: str, role: str = "") -> None:
        log.info("%s: %r from %s", event, name, address)
        self.audit.record(protocol="web", event=event, person=name, peer=address, role=role)


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    return any(ipaddress.ip_address(address) in network for network in networks)


def _own_address(request: web.Request) -> str:
    """The address of this machine that the request came to: a page there is no other site's, whatever its name."""
    transport = request.transport
    return str(transport.get_extra_info("sockname")[0]) if transport is not None else ""


def _resource(request: web.Request) -> str | None:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else None
