"""``neurflow layers``: layers that can be studied, and the default ones."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


def test_the_table_marks_proposed_layers(neurflow: Run, small_model: str) -> None:
    code, out, _ = neurflow("layers", small_model)
    assert code == 0
    rows = {tuple(line.split()) for line in out.splitlines()}
    assert ("*", "block2", "12", "×", "8", "×", "8", "map", "12") in rows
    assert ("*", "head", "4", "units", "4") in rows
    assert ("block1.0", "8", "×", "16", "×", "16", "map", "8") in rows
    assert "--layers block1,block2,block3,head" in out


def test_json(neurflow: Run, small_model: str) -> None:
    data = json.loads(neurflow("layers", small_model, "--json").out)
    assert data["model"] == small_model
    found = {layer.pop("name"): layer for layer in data["layers"]}
    assert found["head"] == {"shape": [4], "kind": "units", "neurons": 4, "proposed": True}
    assert not found["block1.1"]["proposed"]
