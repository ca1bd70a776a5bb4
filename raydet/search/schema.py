"""The JSON schema of sweep files, for editors; it is shipped beside this file as `sweep.schema.json`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec

from raydet.search.families import family_names
from raydet.search.grammar import NODES
from raydet.search.settings import SweepSettings

SCHEMA_FILE = Path(__file__).with_name("sweep.schema.json")
_VALUE = {"$ref": "#/$defs/Value"}


def schema() -> dict[str, Any]:
    """The schema: every section with its keys, their types and what they are for, and what a space may hold."""
    kinds: list[Any] = [SweepSettings, *NODES.values()]
    (sweep, *nodes), parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    found: dict[str, Any] = {name: _explained(part) for name, part in parts.items()}
    plain = {"type": ["string", "number", "boolean", "null"]}
    lists = {"type": "array", "items": _VALUE}
    dicts = {"type": "object", "additionalProperties": _VALUE}
    found["Value"] = {
        "description": "A value of the config, or something that is drawn or computed in its place.",
        "anyOf": [*nodes, plain, lists, dicts],
    }
    found["Choose"]["properties"]["choose"] = {"anyOf": [dicts, lists]}
    found["Choice"]["properties"]["choice"]["items"] = {}
    found["Family"]["properties"]["family"]["enum"] = list(family_names())
    settings = found["SweepSettings"]["properties"]
    for section in ("space", "variables"):
        settings[section]["additionalProperties"] = _VALUE
    one = settings["objective"]["items"]
    settings["objective"] = {"anyOf": [one, settings["objective"]], "description": settings["objective"]["description"]}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "title": "A sweep of raydet", **sweep, "$defs": found}


def _explained(part: dict[str, Any]) -> dict[str, Any]:
    """A part whose docstring is shared out to its properties."""
    text = inspect.cleandoc(part.get("description", ""))
    summary, _, arguments = text.partition("\n\nArgs:\n")
    lines = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", arguments, re.MULTILINE)
    known = {name: re.sub(r"\s+", " ", line) for name, line in lines}
    properties = part.get("properties", {})
    for name, value in properties.items():
        if "$ref" not in value and (name in known or name == "int"):
            properties[name] = {**value, "description": known.get(name, known.get("bounds", ""))}
    return {**part, "description": re.sub(r"\s+", " ", summary), "properties": properties}
