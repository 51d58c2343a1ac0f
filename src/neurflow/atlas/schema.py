"""The tables of an atlas: columns, types and version. They are documented in ``docs/sweeps.md``.

The first column of every table is ``circuit``, the name of the job. Every file of a table has exactly
these columns and types. Unknown values are null.
"""

from __future__ import annotations

from typing import Any

VERSION = 6
VECTOR = "vector"
"""the type "list of float32"; other types have the names that pyarrow uses"""

TABLES: dict[str, dict[str, str]] = {
    "targets": {
        "target": "string",
        "layer": "string",
        "neuron": "int64",
        "minus": "int64",
        "model": "string",
        "digest": "string",
        "shares": "bool",
        "images": "int64",
        "crops": "int64",
        "neurons": "int64",
        "groups": "int64",
        "edges": "int64",
    },
    "layers": {
        "layer": "string",
        "place": "int64",
        "neurons": "int64",
        "groups": "int64",
        "vector": VECTOR,
    },
    "neurons": {
        "layer": "string",
        "neuron": "int64",
        "largest_activation": "double",
        "smallest_activation": "double",
        "semantic_groups": "int64",
        "steps": "int64",
        "rule": "string",
        "score_error": "double",
        "cancellation": "double",
        "completeness_error": "double",
    },
    "semantic_groups": {
        "layer": "string",
        "neuron": "int64",
        "semantic_group": "int64",
        "crops": "int64",
        "group": "string",
    },
    "groups": {
        "group": "string",
        "layer": "string",
        "members": "int64",
        "crops": "int64",
        "pictures": "int64",
        "x": "double",
        "y": "double",
        "spread": "double",
        "weight": "double",
    },
    "neuron_edges": {
        "layer": "string",
        "neuron": "int64",
        "semantic_group": "int64",
        "lower_layer": "string",
        "lower_neuron": "int64",
        "weight": "double",
    },
    "group_edges": {
        "upper": "string",
        "lower": "string",
        "weight": "double",
        "positive": "double",
        "negative": "double",
        "low": "double",
        "high": "double",
        "significance": "double",
        "stability": "double",
    },
    "group_crops": {
        "group": "string",
        "place": "int64",
        "image": "string",
        "left": "int64",
        "top": "int64",
        "right": "int64",
        "bottom": "int64",
    },
    "group_vectors": {"group": "string", "layer": "string", "vector": VECTOR},
    "thumbnails": {"group": "string", "place": "int64", "webp": "binary"},
    "labels": {
        "group": "string",
        "label": "string",
        "caption": "string",
        "source": "string",
        "author": "string",
        "time": "string",
        "pinned": "bool",
        "confidence": "double",
        "doubt": "string",
    },
    "evidence": {
        "group": "string",
        "measure": "string",
        "value": "double",
        "low": "double",
        "high": "double",
    },
}
"""table → column after ``circuit`` → type"""


def arrow_schema(table: str) -> Any:
    """Return the pyarrow schema of a table."""
    import pyarrow as pa

    def kind(name: str) -> Any:
        return pa.list_(pa.float32()) if name == VECTOR else pa.type_for_alias(name)

    columns = {"circuit": "string", **TABLES[table]}
    return pa.schema([(column, kind(name)) for column, name in columns.items()])
