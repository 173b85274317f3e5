"""One OpenAPI document of several applications."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

_SCHEMAS = "#/components/schemas/"


def merged(
    own: Mapping[str, Any], others: Iterable[tuple[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    """Join OpenAPI documents; a schema of the same name and other content gets a name of its own.

    Args:
        own: the document that the others are added to.
        others: the prefix of the paths of each, and its document.
    """
    paths = dict(own.get("paths", {}))
    schemas = dict(own.get("components", {}).get("schemas", {}))
    for prefix, given in others:
        document = _renamed(given, schemas, prefix)
        schemas |= document.get("components", {}).get("schemas", {})
        given_paths = document.get("paths", {})
        if any(path.startswith(prefix) for path in given_paths):  # they are whole
            paths |= {path: each for path, each in given_paths.items() if path.startswith(prefix)}
        else:
            paths |= {prefix + path.rstrip("/"): each for path, each in given_paths.items()}
    components = {**own.get("components", {}), "schemas": schemas}
    return {**own, "paths": paths, "components": components}


def _renamed(
    document: Mapping[str, Any], known: Mapping[str, Any], prefix: str
) -> Mapping[str, Any]:
    """The document with new names for schemas that are known with other content."""
    schemas = document.get("components", {}).get("schemas", {})
    clashing = {name for name, schema in schemas.items() if known.get(name, schema) != schema}
    if not clashing:
        return document
    text = json.dumps(document)
    for name in clashing:
        new = f"{prefix.strip('/').replace('/', '-')}-{name}"
        text = text.replace(f'"{_SCHEMAS}{name}"', f'"{_SCHEMAS}{new}"')
    renamed: dict[str, Any] = json.loads(text)
    renamed["components"]["schemas"] = {
        (f"{prefix.strip('/').replace('/', '-')}-{name}" if name in clashing else name): schema
        for name, schema in renamed["components"]["schemas"].items()
    }
    return renamed
