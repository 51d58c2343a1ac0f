"""A stored circuit for the tests of this folder."""

from pathlib import Path

import pytest

from neurflow.circuit import Circuit, save_circuit


@pytest.fixture
def run(circuit: Circuit, tmp_path: Path) -> Path:
    save_circuit(circuit, tmp_path / "run")
    return tmp_path / "run"
