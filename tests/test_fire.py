"""The campaigns under fire can see what they look for."""

import json
import os
import pickle
import random
import subprocess
import sys

from benchmarks.fire.mutate import VALUES, damaged, json_input, rewritten

from neurflow.errors import WorkError

WATCHED = """
import os, pickle, subprocess, sys, tempfile
from pathlib import Path
from benchmarks.fire.watched import Watch
inside, outside = sys.argv[1:]
watch = Watch(inside)
watch.on = True
Path(inside, "a").write_text("x")
Path(outside, "a").write_text("x")
os.rename(f"{outside}/a", f"{inside}/b")
subprocess.run(["true"])
pickle.loads(b"cos\\ngetpid\\n(tR.")
watch.on = False
Path(outside, "b").write_text("x")
print("\\n".join(watch.seen))
"""


def test_a_seed_gives_the_same_inputs_and_they_differ_from_what_is_valid():
    value = {"groups": [{"id": "a/0", "weights": [0.5, -1]}], "label": None, "n": 3}
    texts = [json_input([value], random.Random(7)) for _ in range(2)]
    assert texts[0] == texts[1]
    data, chance = json.dumps(value).encode(), random.Random(0)
    assert sum(damaged(data, chance) != data for _ in range(100)) > 80
    assert sum(rewritten(value, chance) != value for _ in range(100)) > 80


def test_rewriting_leaves_the_values_that_are_put_in_as_they_are():
    before, chance = repr(VALUES), random.Random(0)
    value = {"a": [1, {"b": []}], "c": {}}
    for _ in range(2000):
        value = rewritten(value, chance)
        value = value if isinstance(value, dict) and len(repr(value)) < 5000 else {"a": [1]}
        json.dumps(value)
    assert repr(VALUES) == before


def test_what_an_input_must_not_do_is_seen(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    told = subprocess.run(
        [sys.executable, "-c", WATCHED, str(inside), str(outside)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout.splitlines()
    kinds = [line.split()[0] for line in told]
    assert kinds == ["writes", "os.rename", "subprocess.Popen", "pickle.find_class"]


def test_errors_can_come_back_from_other_processes():
    error = pickle.loads(pickle.dumps(WorkError("The disk is full.")))
    assert isinstance(error, WorkError) and str(error) == "The disk is full."
