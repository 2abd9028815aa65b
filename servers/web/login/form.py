"""The page of the login: plain HTML, which works without scripts, too."""

from __future__ import annotations

import html
from http import HTTPStatus
from importlib.resources import files
from string import Template
from typing import Final

from aiohttp import web

HERE: Final = files("servers.web.login") / "page"
TYPES: Final = {"login.css": "text/css", "login.js": "text/javascript"}
NO_PASSWORDS: Final = "Nobody logs in here with a password."


def form(facility: str, *, has_users: bool, has_tokens: bool) -> str:
    """The form as it is filled in by :func:`page`."""
    text = (HERE / "login.html").read_text(encoding="utf-8")
    hide = {True: "", False: "hidden"}
    return Template(text).safe_substitute(
        facility=html.escape(facility), users=hide[has_users], tokens=hide[has_tokens]
    )


def page(
    template: str, message: str = "", name: str = "", status: HTTPStatus = HTTPStatus.OK, retry_s: float = 0.0
) -> web.Response:
    """The page with a message; the name that was typed stays."""
    shown = {"message": html.escape(message), "name": html.escape(name[:64]), "told": "" if message else "hidden"}
    headers = {"Cache-Control": "no-store"}
    if retry_s:
        headers["Retry-After"] = f"{retry_s:.0f}"
    text = Template(template).safe_substitute(shown)
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status, headers=headers)


async def asset(request: web.Request) -> web.Response:
    """The style and the script of the page."""
    name = request.path.lstrip("/")
    return web.Response(text=(HERE / name).read_text(encoding="utf-8"), content_type=TYPES[name], charset="utf-8")
