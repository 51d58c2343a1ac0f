"""``python -m neurflow.pages.schema``: the JSON schema that the front end's types are made from.

One schema covers all pages and what the live page sends and receives, so that the front end has one
type for each Python type. ``make web-types`` writes it to ``web/src/shared/schema.json`` and generates
``types.ts`` from it.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from neurflow.pages.atlas_payload import AtlasPageData
from neurflow.pages.circuit_data import PageData
from neurflow.pages.comparison_payload import ComparisonPageData
from neurflow.pages.debug_payload import DebugPageData
from neurflow.pages.messages import Messages


class FrontEnd(BaseModel):
    """Everything that the front end reads and sends: the root of the schema."""

    circuit: PageData
    debug: DebugPageData
    comparison: ComparisonPageData
    atlas: AtlasPageData
    live: Messages


def schema() -> str:
    """Return the JSON schema of all pages as text."""
    found = _plain(FrontEnd.model_json_schema(mode="serialization"))
    return json.dumps(found, indent=2) + "\n"


def _plain(part: Any) -> Any:
    """Remove titles, which would become types, and write tuples as in older drafts of JSON Schema.

    Titles of objects with properties are kept: they name the interfaces.
    """
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    names = {"prefixItems": "items"}
    return {
        names.get(key, key): _plain(value)
        for key, value in part.items()
        if not (key == "title" and isinstance(value, str) and "properties" not in part)
    }


if __name__ == "__main__":
    print(schema(), end="")
