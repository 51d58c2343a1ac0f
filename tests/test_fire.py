"""The robustness campaigns of ``benchmarks.fire`` detect the faults that they test for."""

import json
import os
import pickle
import random
import subprocess
import sys

from benchmarks.fire.mutations import VALUES, damaged, json_input, rewritten

from neurflow.errors import WorkError

AUDITED = """
import os, pickle, subprocess, sys, tempfile
from pathlib import Path
from benchmarks.fire.audit_hook import AuditHook
inside, outside = sys.argv[1:]
hook = AuditHook(inside)
hook.enabled = True
Path(inside, "a").write_text("x")
Path(outside, "a").write_text("x")
os.rename(f"{outside}/a", f"{inside}/b")
subprocess.run(["true"])
pickle.loads(b"cos\\ngetpid\\n(tR.")
hook.enabled = False
Path(outside, "b").write_text("x")
print("\\n".join(hook.events))
"""


def test_a_seed_gives_the_same_inputs_and_most_differ_from_the_valid_ones():
    value = {"groups": [{"id": "a/0", "weights": [0.5, -1]}], "label": None, "n": 3}
    texts = [json_input([value], random.Random(7)) for _ in range(2)]
    assert texts[0] == texts[1]
    data, chance = json.dumps(value).encode(), random.Random(0)
    assert sum(damaged(data, chance) != data for _ in range(100)) > 80
    assert sum(rewritten(value, chance) != value for _ in range(100)) > 80


def test_rewriting_does_not_alter_the_inserted_values():
    before, chance = repr(VALUES), random.Random(0)
    value = {"a": [1, {"b": []}], "c": {}}
    for _ in range(2000):
        value = rewritten(value, chance)
        value = value if isinstance(value, dict) and len(repr(value)) < 5000 else {"a": [1]}
        json.dumps(value)
    assert repr(VALUES) == before


def test_the_audit_hook_records_forbidden_events(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    lines = subprocess.run(
        [sys.executable, "-c", AUDITED, str(inside), str(outside)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout.splitlines()
    kinds = [line.split()[0] for line in lines]
    assert kinds == ["writes", "os.rename", "subprocess.Popen", "pickle.find_class"]


def test_errors_can_be_pickled():
    error = pickle.loads(pickle.dumps(WorkError("The disk is full.")))
    assert isinstance(error, WorkError) and str(error) == "The disk is full."
