"""The page of the log: what comes is on top, as text; filters, a pause, a bounded table."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.fake_server import FakeServer
from tests.page.panel_text import panel

Serve = Callable[..., FakeServer]
Visit = Callable[..., Page]
ROOT = Path(__file__).resolve().parents[2]
EVIL = "<img src=x onerror=\"document.title='stolen'\"><b>bold</b>"


def line(text: str, level: str = "INFO", source: str = "cryo/cryocon/1") -> str:
    return f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {level} diptych.{source}: {text}\n"


class Site:
    """A server with a log that grows."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        server.log_folder = folder
        self.say(
            "cryocon", line("serves") + line("link: refused", "ERROR") + "Traceback\n  frame 1\nValueError: 12 K\n"
        )

    def say(self, name: str, text: str) -> None:
        with (self.folder / f"{name}.log").open("a") as file:
            file.write(text)


@pytest.fixture
def site(serve: Serve, tmp_path: Path) -> Site:
    return Site(serve(main=panel("")), tmp_path)


def rows(page: Page) -> Locator:
    return page.locator(".log-table tbody tr")


def first_lines(page: Page) -> list[str]:
    return page.locator(".log-first").all_text_contents()


def test_the_newest_entry_is_on_top_with_its_level_as_a_word(site: Site, visit: Visit) -> None:
    page = visit(site.server, "log")
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("link: refused")
    site.say("mirror", line("an event was lost", "WARNING", "loop"))
    expect(rows(page)).to_have_count(3)
    cells = rows(page).first.locator("td")
    expect(cells.nth(1)).to_have_text("WARNING")
    assert cells.nth(2).text_content() == "mirror" and cells.nth(3).text_content() == "loop"
    colors = {
        row.locator(".log-level span").evaluate("each => getComputedStyle(each).borderTopColor")
        for row in rows(page).all()
    }
    assert len(colors) == 3, "INFO, WARNING and ERROR look different"


def test_text_is_never_markup(site: Site, visit: Visit) -> None:
    site.say("cryocon", line(EVIL, source=EVIL.split()[0]))
    page = visit(site.server, "log")
    expect(rows(page).first.locator(".log-first")).to_contain_text(EVIL)
    assert page.locator(".log-table img, .log-table b").count() == 0
    assert "stolen" not in page.title()


def test_further_lines_are_shown_on_request(site: Site, visit: Visit) -> None:
    page = visit(site.server, "log")
    rest = rows(page).first.locator(".log-rest")
    expect(rest).to_be_hidden()
    page.get_by_role("button", name="+ 3 lines").click()
    expect(rest).to_be_visible()
    expect(rest).to_contain_text("ValueError: 12 K")
    page.get_by_role("button", name="− 3 lines").click()
    expect(rest).to_be_hidden()


def test_filters_are_in_the_address_and_hold_after_a_reload(site: Site, visit: Visit) -> None:
    page = visit(site.server, "log")
    page.get_by_label("Level").select_option("WARNING")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Text").fill("12 K")
    expect(page).to_have_url(re.compile(r"#/log\?level=WARNING&text=12\+K$"))
    page.reload()
    expect(rows(page)).to_have_count(1)
    site.say("cryocon", line("nothing of it", "ERROR") + line("at 12 k again", "CRITICAL"))
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("CRITICAL")
    page.get_by_label("Text").fill("no such text")
    expect(page.locator(".log-remark")).to_have_text("Nothing fits.")


def test_writes_by_a_person(site: Site, visit: Visit) -> None:
    write = (
        '{"time": "2026-11-21T12:00:00Z", "claimed_user": "%s", "peer": "10.1.2.3:5", "pv": "C:S", "new": 77.25, %s}\n'
    )
    audit = write % ("anna", '"result": "done"') + write % ("bert", '"result": "RangeError: too hot"')
    (site.folder / "audit.jsonl").write_text(audit)
    page = visit(site.server, "log")
    page.get_by_label("writes only").check()
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Who").fill("bert")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first).to_contain_text("C:S := 77.25, bert from 10.1.2.3:5: RangeError: too hot")
    expect(rows(page).first.locator(".log-level")).to_have_text("WARNING")


def test_a_pause_holds_what_is_read_and_loses_nothing(site: Site, visit: Visit) -> None:
    page = visit(site.server, "log")
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="Pause").click()
    site.say("cryocon", line("one") + line("two"))
    go_on = page.get_by_role("button", name="Go on (2 new)")
    expect(go_on).to_be_visible()
    expect(rows(page)).to_have_count(2)
    go_on.click()
    expect(rows(page)).to_have_count(4)
    assert first_lines(page)[:2] == ["two", "one"]


@pytest.mark.long
def test_the_table_is_bounded(site: Site, visit: Visit) -> None:
    page = visit(site.server, "log")
    expect(rows(page)).to_have_count(2)
    for part in range(6):
        site.say("cryocon", "".join(line(f"{part}: {n}") for n in range(300)))
        expect(page.locator(".log-first").first).to_have_text(f"{part}: 299")
    expect(rows(page)).to_have_count(1000)


def test_after_a_lost_connection_the_table_is_that_of_the_server(site: Site, visit: Visit) -> None:
    page = visit(site.server, "log")
    expect(rows(page)).to_have_count(2)
    site.server.drop()
    site.say("cryocon", line("meanwhile"))
    expect(rows(page)).to_have_count(3)
    expect(rows(page).first).to_contain_text("meanwhile")
    assert first_lines(page).count("serves") == 1


def test_the_way_in_is_in_the_head_of_every_page(site: Site, visit: Visit) -> None:
    page = visit(site.server)
    page.get_by_role("link", name="Log").click()
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_role("heading", name="Log")).to_be_visible()
    page.evaluate("location.hash = '#/main'")
    expect(page.locator(".log")).to_have_count(0)


def test_a_server_without_a_log_is_waited_for(site: Site, visit: Visit, tmp_path: Path) -> None:
    site.server.log_folder = None
    page = visit(site.server, "log")
    expect(page.locator(".log-remark")).to_contain_text("not connected")
    site.server.log_folder = tmp_path
    expect(rows(page)).to_have_count(2)


def test_an_address_with_nonsense_is_the_whole_log(site: Site, visit: Visit) -> None:
    page = visit(site.server, "log?level=LOUD&since=lunch&writes=maybe")
    expect(rows(page)).to_have_count(2)


def test_the_way_to_the_health_is_there_where_its_panel_is(site: Site, serve: Serve, visit: Visit) -> None:
    without = visit(site.server)
    expect(without.get_by_role("link", name="Log")).to_be_visible()
    expect(without.get_by_role("link", name="Health")).to_be_hidden()
    server = serve(main=panel(""), health=(ROOT / "opi" / "health.bob").read_text())
    server.opi["health_row.bob"] = (ROOT / "opi" / "health_row.bob").read_text()
    server.put("HEALTH:ROW03:Name", vtype="VString", text="cryocon")
    server.put("HEALTH:ROW03:State", vtype="VEnum", value=4, text="HUNG", labels=[], severity="MAJOR")
    page = visit(server)
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("cryocon", exact=True)).to_be_visible()
    expect(page.get_by_text("HUNG", exact=True)).to_be_visible()
