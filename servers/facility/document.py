"""Read a configuration file (JSON or YAML) and check it against a JSON schema, with every problem found at once."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from devices.core.errors import ConfigurationError
from devices.core.quick_jsonschema import jsonschema
from servers.facility.spelling import did_you_mean

SIZE_LIMIT_BYTES = 4 << 20
_BOOL = "tag:yaml.org,2002:bool"

_TYPE_WORDS = {
    "array": "a list",
    "object": "a group of keys",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def read_json(path: Path) -> Any:
    """The content of a JSON file in which no key stands twice.

    Raises:
        ConfigurationError: the file cannot be read, is too long or is no JSON; the text names the line.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ConfigurationError(str(path), [f"{key} stands twice in one group" for key in twice])
        return dict(pairs)

    try:
        return json.loads(_text(path), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            str(path), [f"line {error.lineno} column {error.colno}: not JSON: {error.msg}"]
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        raise ConfigurationError(str(path), [f"not JSON: {error}"]) from error


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of plain values (no tags) in which no key stands twice.

    Raises:
        ConfigurationError: the file cannot be read, is too long or is no such YAML; the text names the line.
    """
    try:
        return yaml.load(_text(path), _UniqueKeyLoader)  # noqa: S506 - the loader is a SafeLoader  # nosec B506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1} column {mark.column + 1}: " if mark else ""
        raise ConfigurationError(str(path), [f"{where}not YAML: {error.problem}"]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # 2026-13-45 looks like a date and is none
        raise ConfigurationError(str(path), [f"not YAML: {' '.join(str(error).split())}"]) from error


def schema_problems(document: Any, schema: Mapping[str, Any]) -> list[str]:
    """What in a document does not agree with its JSON schema, one line each, beginning with the path of the key."""
    validator = jsonschema.validators.validator_for(schema)(schema)
    errors = sorted(validator.iter_errors(document), key=lambda error: [str(key) for key in error.absolute_path])
    return [line for error in errors for line in _lines(error)]


def key_path(keys: Iterable[object]) -> str:
    """``servers > Diptych > cryocon``: device names hold slashes and dots, so neither can separate keys."""
    return " > ".join(str(key) for key in keys) or "the file"


def _lines(error: jsonschema.ValidationError) -> Iterator[str]:
    where = key_path(error.absolute_path)
    rule: Any = error.validator_value
    if error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
        known, patterns = error.schema.get("properties", {}), list(error.schema.get("patternProperties", {}))
        for key in cast(Any, error.instance):
            if key in known or any(re.search(pattern, key) for pattern in patterns):
                continue
            hint = f"; it must match {patterns[0]}" if patterns and not known else did_you_mean(key, known)
            yield f"{where}: unknown key {key}{hint}"
    elif error.validator == "type":
        words = [_TYPE_WORDS.get(word, word) for word in ([rule] if isinstance(rule, str) else rule)]
        yield f"{where}: must be {' or '.join(words)}, is {_short(json.dumps(error.instance, default=str))}"
    else:
        yield f"{where}: {_short(error.message)}"


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "..."


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT_BYTES + 1)
        if len(data) > SIZE_LIMIT_BYTES:
            raise ConfigurationError(str(path), [f"is longer than {SIZE_LIMIT_BYTES} bytes"])
        return data.decode()
    except FileNotFoundError as error:
        raise ConfigurationError(str(path), [f"no such file{_neighbours(path)}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(str(path), [f"byte {error.start} is not UTF-8 text"]) from error
    except OSError as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error.strerror}"]) from error


def _neighbours(path: Path) -> str:
    try:
        names = [file.name for file in path.parent.iterdir() if file.suffix == path.suffix]
    except OSError:
        return ""
    return did_you_mean(path.name, names)


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice, where YAML itself would keep the last.

    As in YAML 1.2, only ``true`` and ``false`` are truth values: Tango has many a command On and Off.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value} stands twice in one group", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_UniqueKeyLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_UniqueKeyLoader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def with_lines(path: Path, problems: Iterable[str]) -> list[str]:
    """Problems of a document, each behind the line of the file where its key stands."""
    lines = _key_lines(path)
    return [_with_line(problem, lines) for problem in problems]


def _with_line(problem: str, lines: Mapping[str, int]) -> str:
    """The problem, behind the line where its key stands."""
    where, _, what = problem.partition(": ")
    if unknown := re.match(r"unknown key (\S+?)(?:;|$)", what):
        where = f"{where} > {unknown[1]}".removeprefix("the file > ")
    line = lines.get(where)
    return problem if line is None else f"line {line}: {problem}"


def _key_lines(path: Path) -> dict[str, int]:
    """Where the keys stand, ``rules > 0 > absolute`` -> line from 1; JSON is YAML, too."""
    found: dict[str, int] = {}

    def walk(node: yaml.Node | None, where: tuple[str, ...]) -> None:
        pairs: list[tuple[str, int, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            pairs = [(str(key.value), key.start_mark.line, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            pairs = [(str(number), each.start_mark.line, each) for number, each in enumerate(node.value)]
        for key, line, value in pairs:
            found[" > ".join((*where, key))] = line + 1
            walk(value, (*where, key))

    walk(yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader), ())
    return found
