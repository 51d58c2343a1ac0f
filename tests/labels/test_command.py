"""``neurflow label`` on the command line, interrupted, killed and resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from neurflow.circuit import Circuit, load_circuit
from tests.labels.server import KEY, ChatServer, Step

GROUPS = 7
NEEDED = 3 * GROUPS
"""requests: a label, a judgement, and a comparison with all other labels at once"""


@pytest.fixture
def run(planted: Circuit, tmp_path: Path) -> Path:
    planted.save(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def options(server: ChatServer) -> tuple[object, ...]:
    return ("--chat-model", "tiny-vision", "--base-url", server.url, "--key-env", "NF_TEST_KEY")


def stored(run: Path) -> dict[str, str | None]:
    return {g.id: g.label for layer in load_circuit(run).layers for g in layer.groups}


def test_labels_have_evidence_and_a_second_run_sends_nothing(neurflow, run, server, options):
    code, out, err = neurflow("label", "ask", run, *options, "--json")
    assert code == 0
    data = json.loads(out)
    assert [label["group"] for label in data["labels"]] == list(stored(run))
    assert data["used"]["requests"] == server.requests == NEEDED
    assert data["used"]["tokens_in"] == 900 * server.requests
    assert data["used"]["cost"] is None
    assert data["summary"]["validated"] == GROUPS
    validation = data["labels"][0]["evidence"]["validation"]
    assert validation["beats_chance"] is False
    assert validation["constant"]["text"] == "taxi"
    assert f"Estimate: {NEEDED} requests" in err
    code, out, err = neurflow("label", "ask", run, *options)
    assert code == 0 and server.requests == NEEDED
    assert "Estimate: 0 requests" in err
    assert "does not beat chance" in out
    assert "7 of 7 groups labelled. Of 7 validated labels 0 beat chance" in out
    shown = neurflow("show", run, "--group", "late/0").out
    assert "A red round thing." in shown and "tiny-vision" in shown


def test_the_dry_run_estimates_the_cost_and_sends_nothing(neurflow, run, server, options):
    prices = ("--price-in", 2, "--price-out", 8)
    code, out, _ = neurflow("label", "ask", run, *options, *prices, "--dry-run", "--json")
    estimate = json.loads(out)
    assert (code, server.requests) == (0, 0)
    assert estimate["requests"] == NEEDED
    assert 900 * GROUPS < estimate["tokens_in"] < 100_000
    cost = (estimate["tokens_in"] * 2 + estimate["tokens_out"] * 8) / 1e6
    assert estimate["cost"] == pytest.approx(cost, rel=0.01)
    assert not any(stored(run).values())
    neurflow("label", "ask", run, *options, "--layer", "early")
    left = json.loads(neurflow("label", "ask", run, *options, "--dry-run", "--json").out)
    assert left["requests"] == NEEDED - 3 * 3


def test_an_exhausted_budget_gives_exit_code_1_and_keeps_labels(neurflow, run, server, options):
    code, out, err = neurflow("label", "ask", run, *options, "--max-requests", 8, "--json")
    assert code == 1
    assert server.requests == json.loads(out)["used"]["requests"] == 8
    assert "The budget is spent: 8 of 8 requests" in err
    assert 1 <= sum(map(bool, stored(run).values())) < GROUPS
    code, _, _ = neurflow("label", "ask", run, *options)
    assert code == 0
    assert server.requests == len(set(server.digests())) == NEEDED
    code, out, err = neurflow("label", "ask", run, *options, "--budget", 1)
    assert (code, out) == (2, "")
    assert "--price-in" in err


def test_a_killed_run_is_resumed_without_repeating_requests(run, server, options):
    killed, under_way = threading.Event(), threading.Semaphore(0)

    def held(asked):
        # both workers are killed while they wait for an answer
        if server.requests <= 9:  # all of the first layer
            return None
        return Step(hold=lambda: (under_way.release(), killed.wait()))

    server.rule = held
    command = [sys.executable, "-c", "from neurflow.cli import main; main()"]
    command += ["label", "ask", *map(str, (run, *options)), "--workers", "2"]
    environment = {**os.environ, "NF_TEST_KEY": KEY}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    for _ in range(2):
        under_way.acquire()
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.rule = lambda asked: None
    killed.set()
    assert len(server.asked) == 11
    assert sum(map(bool, stored(run).values())) >= 1
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 0
    again = len(server.digests()) - len(set(server.digests()))
    assert again <= 2  # the pending requests at the time of the kill, one per worker
    assert all(stored(run).values())


def test_failed_groups_are_reported_and_other_labels_are_kept(neurflow, run, server, options):
    server.label = lambda a: "no" if '"late"' in a.text.split("strongest")[0] else LABEL
    code, out, err = neurflow("label", "ask", run, *options, "--no-validation", "--workers", 1)
    assert code == 1
    assert "late/0: tiny-vision gives no usable answer" in err
    assert "3 groups could not be labelled" in err
    assert stored(run)["late/0"] is None and stored(run)["head/0"] == "a wheel"
    assert "a wheel" in out


LABEL = {
    "features": [],
    "label": "a wheel",
    "caption": "A wheel.",
    "combination": "",
    "confidence": 1,
}


def test_manual_labels(neurflow, run):
    code, out, _ = neurflow(
        "label", "set", run, "early/0", "black wheel", "--caption", "A wheel.", "--author", "ann"
    )
    assert (code, out) == (0, "early/0: black wheel (pinned)\n")
    data = json.loads(neurflow("label", "unpin", run, "early/0", "--json").out)
    assert data["groups"][0]["evidence"]["pinned"] is False
    assert data["groups"][0]["evidence"]["author"] == "ann"
    assert neurflow("label", "search", run, "WHEEL").out == " +1.00  early/0  black wheel\n"
    assert neurflow("label", "reject", run, "early/0", "--author", "bob").out == (
        "early/0: no label\n"
    )
    rejected = json.loads(neurflow("show", run, "--group", "early/0", "--json").out)["rejected"]
    assert [(r["label"], r["author"]) for r in rejected] == [("black wheel", "bob")]
    assert "No label has these words" in neurflow("label", "search", run, "wheel").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ask",), 2, "Give a labeler"),
        (("set", "early/9", "x"), 2, "no group 'early/9'. Near names: early/"),
        (("set", "early/0", " "), 2, "needs words"),
        (("pin", "early/0"), 2, "has no label"),
        (("pin", "late/0,early/9"), 2, "no group 'early/9'. Near names: early/"),
        (("ask", "--chat-model", "m", "--labeler", "c"), 2, "--chat-model and --labeler exclude"),
        (("ask", "--judge-model", "m"), 2, "Give a labeler"),
        (("words", "--clip", "nowhere"), 2, "--vocabulary words.txt"),
        (("words", "--clip", "a", "--vocabulary", "none.txt"), 2, "Cannot read the vocabulary"),
        (("ask", "--chat-model", "m", "--group", "x/1"), 2, "no group 'x/1'"),
        (("ask", "--chat-model", "m", "--layer", "earl"), 2, "Near names: early"),
        (
            ("ask", "--chat-model", "m", "--base-url", "http://127.0.0.1:9/v1", "--retries", 0),
            1,
            "Cannot reach",
        ),
        (("ask", "--chat-model", "m"), 2, "no key in the environment variable NOT_THERE"),
        (("ask", "--labeler", "nobody"), 2, "There is no labeler 'nobody'"),
    ],
)
def test_wrong_requests(neurflow, run, arguments, code, words):
    needs_key = "--chat-model" in arguments and "--base-url" not in arguments
    key = ("--key-env", "NOT_THERE") if needs_key else ()
    found, out, err = neurflow("label", arguments[0], run, *arguments[1:], *key)
    assert (found, out) == (code, "")
    assert words in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not any(stored(run).values())


def test_a_missing_run_is_an_error(neurflow, tmp_path):
    code, _, err = neurflow("label", "set", tmp_path / "none", "a/0", "x")
    assert code == 2 and "neurflow discover" in err


def test_the_python_code_of_the_docs_runs(planted, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    planted.save("runs/bee")
    docs = (Path(__file__).parents[2] / "docs" / "labels.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", docs, re.S)
    names: dict[str, object] = {}
    exec(code.replace("block4/1", "late/1"), names)
    assert server.requests == NEEDED
    assert names["group"].evidence.author == "gpt-4o"
    assert all(stored(Path("runs/bee")).values())
