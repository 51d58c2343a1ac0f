"""Features that servers lack, usage that they report, and the keys that they get."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from pathlib import Path

import pytest

import neurflow
from neurflow.errors import RequestError, WorkError
from neurflow.labels import (
    Budget,
    Job,
    LabelFailed,
    NoPictures,
    OpenAIChat,
    Settings,
    label_groups,
)
from neurflow.labels import openai_client as client
from tests.labels.server import KEY, TOKENS_IN, TOKENS_OUT, Step, completion
from tests.labels.test_openai_client import EACH, GROUPS, QUICK, hurry, labels

__all__ = ["hurry"]  # fixtures


@pytest.mark.parametrize(
    "message",
    [
        "Invalid content type. image_url is only supported by certain models.",
        "tiny-vision is not a multimodal model",
        "image input is not supported - hint: if this is unexpected, you may need the mmproj",
        "this model is missing data required for image input",
        "Model does not support images. Please use a model that does.",
    ],
    ids=["openai", "vllm", "llama.cpp", "ollama", "lm studio"],
)
def test_a_text_only_model_is_reported_at_once(planted, server, ask, message):
    server.rule = lambda asked: Step(400, {"error": {"message": message}})
    with pytest.raises(NoPictures, match="tiny-vision does not accept pictures") as raised:
        neurflow.label(planted, ask(), settings=Settings(workers=1))
    assert raised.value.exit_code == 2
    assert server.requests == 1


def test_servers_for_one_picture_get_one_sheet(planted, server, ask):
    server.rule = lambda a: (
        Step(400, {"error": {"message": "At most 1 image(s) may be provided in one request."}})
        if len(a.pictures) > 1
        else None
    )
    with pytest.raises(NoPictures, match="--sheet"):
        neurflow.label(planted, ask(), settings=QUICK)
    circuit = neurflow.label(planted, ask(sheet=True), settings=QUICK)
    assert all(labels(circuit).values())
    assert all(len(a.pictures) == 1 for a in server.asked)


def test_options_that_a_server_rejects_are_omitted(planted, server, ask):
    def picky(asked):
        for name in ("response_format", "max_tokens", "temperature"):
            if name in asked.payload:
                hint = "Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                return Step(400, {"error": {"message": f"Unsupported parameter: '{name}'. {hint}"}})
        return None

    server.rule = picky
    circuit = neurflow.label(planted, ask(), settings=Settings(workers=1, constant=False, rivals=0))
    assert all(labels(circuit).values())
    assert server.requests == EACH * GROUPS + 3
    assert server.asked[0].payload["max_completion_tokens"] == 2000


def test_the_key_is_neither_stored_nor_logged_nor_printed(
    planted, server, ask, tmp_path, caplog, monkeypatch
):
    caplog.set_level(logging.DEBUG)
    planted.save(tmp_path / "run")
    neurflow.label(planted, ask(), settings=QUICK, out=tmp_path / "run")
    monkeypatch.setenv("NF_TEST_KEY", "sk-another-secret")
    with pytest.raises(RequestError, match="rejects the key") as refused:
        neurflow.label(planted, ask(cached=False), settings=QUICK)
    assert "NF_TEST_KEY" in str(refused.value)
    stored = b"".join(f.read_bytes() for f in Path(tmp_path).rglob("*") if f.is_file())
    for secret in (KEY, "sk-another-secret"):
        assert secret.encode() not in stored
        assert secret not in caplog.text
        assert secret not in str(refused.value)


def test_a_missing_key_is_reported_before_any_request(planted, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(RequestError, match="no key in the environment variable OPENAI_API_KEY"):
        neurflow.label(planted, client_labeler(OpenAIChat("gpt-4o")), settings=QUICK)


def client_labeler(chat):
    from neurflow.labels import ChatLabeler

    return ChatLabeler(chat)


def test_a_missing_server_and_a_missing_model_have_different_errors(planted, server, ask):
    nobody = client_labeler(OpenAIChat("m", base_url="http://127.0.0.1:9/v1", retries=1))
    with pytest.raises(WorkError, match=r"Cannot reach http://127.0.0.1:9/v1"):
        neurflow.label(planted, nobody, settings=QUICK)
    server.rule = lambda asked: Step(404, {"error": {"message": "model 'tiny-vision' not found"}})
    with pytest.raises(RequestError, match="has no model 'tiny-vision'"):
        neurflow.label(planted, ask(cached=False), settings=QUICK)


def test_an_exhausted_account_is_not_retried(planted, server, ask):
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    server.rule = lambda asked: Step(429, body)
    with pytest.raises(WorkError, match="no credit left"):
        neurflow.label(planted, ask(), settings=Settings(workers=1))
    assert server.requests == 1


class Clock:
    """A clock that advances only during ``sleep``."""

    def __init__(self):
        self._now = 0.0

    def monotonic(self):
        return self._now

    def sleep(self, seconds):
        self._now += seconds


def test_requests_run_concurrently_within_the_rate_limit(planted, server, ask, monkeypatch):
    both = threading.Barrier(2)
    server.script = [Step(hold=both.wait), Step(hold=both.wait)]  # each request waits for the other
    neurflow.label(planted, ask(cached=False), settings=QUICK)
    assert 2 <= server.most_under_way <= 4
    clock = Clock()
    monkeypatch.setattr(client, "time", clock)
    pace = ask(rate=300).chat._pace
    pace._changed.wait = clock.sleep
    left = []
    for _ in range(3):
        pace.wait(pace.round)
        left.append(clock.monotonic())
    pace.hold(7)
    pace.wait(pace.round)
    assert [*left, clock.monotonic()] == pytest.approx([0, 0.2, 0.4, 7.4])


def test_usage_that_a_server_does_not_report_is_estimated(planted, server, ask):
    server.usage = None
    budget = Budget(tokens=1e6)
    neurflow.label(planted, ask(budget=budget), groups=["early/0"], settings=QUICK)
    assert budget.used.requests == 2
    assert budget.used.tokens_in > 1000


def test_a_failing_judge_leaves_the_label_unvalidated(planted, server, ask):
    """If the judge fails, the label is stored and marked as unvalidated."""
    server.judgement = lambda asked: {"scores": [{"crop": 1, "score": 1}]}
    outcome = label_groups(Job(planted, ask(), groups=["early/0"], settings=QUICK))
    assert "scores are needed for crops 1 to 32" in outcome.failed["early/0"]
    group = outcome.circuit.group("early/0")
    assert group.label == "thing 12"
    assert group.evidence.doubt == "not validated"
    assert isinstance(LabelFailed(""), WorkError)


def test_an_interrupt_cancels_pending_requests_and_keeps_finished_labels(
    planted, server, ask, monkeypatch
):
    busy = Step(429, {"error": {"message": "later"}}, {"Retry-After": "60"})
    some_let_go = threading.Event()  # a worker answered after the interrupt must not wait
    useless = completion(
        {"role": "assistant", "content": "no JSON"}
    )  # so that the request is repeated
    late = Step(body=useless, hold=some_let_go.wait)
    server.rule = lambda a: busy if server.requests > 2 else late
    hold, wait = client.Pace.hold, client.Pace.wait
    first, let_go = threading.Lock(), []

    def held(pace, seconds):
        hold(pace, seconds)
        if first.acquire(blocking=False):  # now all workers wait for a minute
            os.kill(os.getpid(), signal.SIGINT)

    def waited(pace, round):
        try:
            wait(pace, round)
        except client.Stopped as stopped:
            let_go.append(stopped)
            some_let_go.set()
            raise

    monkeypatch.setattr(client.Pace, "hold", held)
    monkeypatch.setattr(client.Pace, "wait", waited)
    with pytest.raises(KeyboardInterrupt):
        neurflow.label(planted, ask(), settings=QUICK)
    assert len(let_go) == 3, "one for each group of the layer"
    assert not server.asked
    server.rule = lambda a: None
    assert all(labels(neurflow.label(planted, ask(), settings=QUICK)).values())
    assert len(server.asked) == len(set(server.digests())) == EACH * GROUPS


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "```json\n{}\n```",
        "Here it is: {} I hope that helps.",
        "<think>It may be {{a wheel}}.</think>\n{}",
    ],
    ids=["bare", "fenced", "in words", "after thinking"],
)
def test_answers_are_extracted_from_surrounding_text(planted, server, ask, form):
    said = {"features": [], "label": "wheel", "caption": "", "combination": "", "confidence": 1}
    server.label = lambda asked: form.format(json.dumps(said))
    circuit = neurflow.label(planted, ask(), groups=["early/0"], settings=Settings(validated=False))
    assert circuit.group("early/0").label == "wheel"
    assert server.requests == 1


def test_an_address_without_scheme_is_refused_at_once():
    with pytest.raises(RequestError, match=r"in full, e\.g\. http://localhost:11434/v1"):
        OpenAIChat("m", base_url="localhost:11434/v1")


def test_a_request_that_timed_out_counts_towards_the_budget(planted, server, ask):
    budget = Budget(tokens=1e6)
    settings = Settings(validated=False)
    labeler = ask(budget=budget, timeout=0.2)
    # no answer is sent until the client has given up; after that its timeout is long
    server.script = [Step(silent=True, hold=lambda: setattr(labeler.chat._client, "timeout", 600))]
    neurflow.label(planted, labeler, groups=["early/0"], settings=settings)
    assert budget.used.requests == server.requests == 2
    assert budget.used.tokens > 1.5 * (TOKENS_IN + TOKENS_OUT)


def test_a_custom_server_does_not_get_the_key_of_openai(planted, server, tmp_path, monkeypatch):
    secrets = {
        "OPENAI_API_KEY": "sk-secret",
        "OPENAI_ADMIN_KEY": "ak-secret",
        "OPENAI_ORG_ID": "org-secret",
        "OPENAI_PROJECT_ID": "proj-secret",
        "OPENAI_CUSTOM_HEADERS": "X-Gateway: gate-secret\nAuthorization: Bearer auth-secret",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)

    def ask_with(**key):
        chat = OpenAIChat("tiny-vision", base_url=server.url, retries=0, **key)
        settings = Settings(validated=False)
        return label_groups(
            Job(planted, client_labeler(chat), groups=["early/0"], settings=settings)
        )

    with pytest.raises(RequestError, match="requires a key"):
        raise ask_with().stopped
    assert "secret" not in json.dumps(server.headers)
    (tmp_path / "key").write_text(f"{KEY}\n")
    for key in ({"key_file": tmp_path / "key"}, {"key_env": "NF_TEST_KEY"}):
        assert ask_with(**key).circuit.group("early/0").label
    assert "secret" not in json.dumps(server.headers) and len(server.headers) == 3
    with pytest.raises(RequestError, match="cannot be read"):
        OpenAIChat("m", key_file=tmp_path / "none")
    with pytest.raises(RequestError, match="no key in the environment variable NF_UNSET_KEY"):
        raise ask_with(key_env="NF_UNSET_KEY").stopped
