"""Every command explains itself: examples that it takes, its exit status, the page to read."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from servers.help_pages import HELP
from servers.main import main

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_every_command_has_a_help_page() -> None:
    assert sorted(HELP) == sorted(main.commands)


@pytest.mark.parametrize("name", sorted(HELP))
def test_the_page_of_a_command_exists(name: str) -> None:
    assert (DOCS / HELP[name].page).exists()
    context = click.Context(main.commands[name], info_name=f"diptych {name}")
    text = main.commands[name].get_help(context)
    assert "Examples:\n    diptych " in text and "Exit status: 0, or 1" in text and HELP[name].page in text


@pytest.mark.parametrize(
    ("name", "words"), [(name, words) for name, page in sorted(HELP.items()) for words in page.examples]
)
def test_a_command_takes_its_examples(name: str, words: str) -> None:
    command = main.commands[name]
    arguments = shlex.split(words)
    if "--help" in arguments or isinstance(command, click.Group):
        assert isinstance(command, click.Group)
        assert command.get_command(click.Context(command), arguments[0]) is not None
    else:
        # Paths that must exist are those of the reader.
        for parameter in command.params:
            if isinstance(parameter.type, click.Path):
                parameter.type.exists = False
        command.make_context(name, arguments)
