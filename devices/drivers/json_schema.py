"""Documents that must keep to a JSON schema: every problem with its key, and the defaults filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from devices.core.errors import ConfigurationError
from devices.core.quick_jsonschema import jsonschema


@cache
def schema_of(name: str) -> dict[str, Any]:
    """A schema of this package, ``NAME.schema.json``."""
    schema: dict[str, Any] = json.loads(resources.files("devices.drivers").joinpath(f"{name}.schema.json").read_text())
    return schema


def checked(document: object, schema: Mapping[str, Any], subject: str, root: str) -> dict[str, Any]:
    """The document with the defaults of its schema at all levels.

    Args:
        subject: what errors call the document as a whole.
        root: what they call it where a key would stand.
    Raises:
        ConfigurationError: all wrong entries, each with its key, ``Masks[0].Oversampling``.
    """
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(document), key=lambda error: [str(key) for key in error.absolute_path])
    # One missing key is an error of its own, and each of them names the whole group.
    problems = list(dict.fromkeys(line for error in errors for line in _problems(error, root)))
    if problems:
        raise ConfigurationError(subject, problems)
    found: dict[str, Any] = _with_defaults(document, schema)
    return found


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        defaults = {key: entry["default"] for key, entry in properties.items() if "default" in entry}
        return {key: _with_defaults(item, properties.get(key, {})) for key, item in {**defaults, **value}.items()}
    if isinstance(value, list):
        return [_with_defaults(item, schema.get("items", {})) for item in value]
    return value


def _problems(error: jsonschema.ValidationError, root: str) -> list[str]:
    rule: Any = error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    if error.validator == "required":
        return [f"{_key([*error.absolute_path, key], root)}: missing" for key in rule if key not in instance]
    if error.validator == "additionalProperties":
        unknown = [key for key in instance if key not in schema["properties"]]
        return [f"{_key([*error.absolute_path, key], root)}: unknown key" for key in unknown]
    text = schema["description"] if error.validator == "const" else error.message
    return [f"{_key(error.absolute_path, root)}: {text if len(text) <= 120 else text[:117] + '...'}"]


def _key(path: Sequence[str | int], root: str) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".") or root
