"""The page of all ``diptych`` commands, as their own --help has them."""

from __future__ import annotations

from collections.abc import Iterator

import click


def command_page(program: click.Group, name: str) -> str:
    """Every command with its arguments and options."""
    lines = [
        f"# The {name} command",
        "",
        f"What `{name} COMMAND --help` says, made by `make docs`. Examples are in the [user guide](../user-guide.md).",
        "",
    ]
    for context in _contexts(program, click.Context(program, info_name=name)):
        if not isinstance(context.command, click.Group):
            lines += [f"## `{context.command_path}`", "", "```text", _help(context), "```", ""]
    return "\n".join(lines)


def _contexts(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _contexts(found, click.Context(found, info_name=name, parent=context))


def _help(context: click.Context) -> str:
    context.max_content_width = 110
    context.terminal_width = 110
    return "\n".join(line.rstrip() for line in context.get_help().splitlines())
