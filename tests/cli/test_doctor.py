"""``neurflow doctor``: versions, devices, and missing packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from neurflow.runtime.extras import EXTRAS
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


def test_missing_packages_are_listed_with_use_and_installation(
    neurflow: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "neurflow.toml").write_text("top = 3\n")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setenv("NEURFLOW_TOKEN", "secret")
    found = json.loads(neurflow("doctor", "--json").out)
    assert torch.__version__.startswith(found["packages"]["torch"])
    assert found["devices"][-1]["device"] == "cpu"
    assert set(found["extras"]) == set(EXTRAS)
    atlas = found["extras"]["atlas"]
    assert atlas["missing"] == ["duckdb"] and "sklearn" in atlas["installed"]
    assert found["settings"]["file"] == str(tmp_path / "neurflow.toml")
    code, out, _ = neurflow("doctor")
    assert code == 0 and "pip install 'neurflow[atlas]'" in out and "sweep" in out
    assert "NEURFLOW_TOKEN" in out and "secret" not in out
    assert max(map(len, out.splitlines())) <= 80
