"""``python -m neurflow.pages.schema``: the JSON schemas that the front end's types are made from.

Without an argument that of a circuit's page, with ``debug`` that of a debug page, with
``comparison`` that of the page of two circuits, with ``atlas`` that of a sweep's map.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel

from neurflow.pages.atlas_payload import AtlasPageData
from neurflow.pages.comparison_payload import ComparisonPageData
from neurflow.pages.debug_payload import DebugPageData
from neurflow.pages.payload import PageData


def schema(data: type[BaseModel] = PageData) -> str:
    """JSON schema of what a page is told, as text."""
    return json.dumps(_plain(data.model_json_schema(mode="serialization")), indent=2) + "\n"


def _plain(part: Any) -> Any:
    """Without titles, which would become a named type each; tuples as older drafts write them."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    names = {"prefixItems": "items"}
    return {
        names.get(key, key): _plain(value)
        for key, value in part.items()
        if not (key == "title" and isinstance(value, str) and part.get("type") != "object")
    }


if __name__ == "__main__":
    pages: dict[str, type[BaseModel]] = {
        "debug": DebugPageData,
        "comparison": ComparisonPageData,
        "atlas": AtlasPageData,
    }
    print(schema(pages.get("".join(sys.argv[1:]), PageData)), end="")
