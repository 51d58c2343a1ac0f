"""``python -m neurflow.report.schema``: the JSON schema that the front end's types are made from."""

from __future__ import annotations

import json
from typing import Any

from neurflow.report.payload import PageData


def schema() -> str:
    """JSON schema of ``PageData``, as text."""
    return json.dumps(_plain(PageData.model_json_schema(mode="serialization")), indent=2) + "\n"


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
    print(schema(), end="")
