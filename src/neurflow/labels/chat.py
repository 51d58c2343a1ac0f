"""A labeler that asks a chat model, with a cache, and validates answers by a schema.

1. The request is turned into a question (``prompt``). If the cache has an answer, that is used.
2. Otherwise the chat model is asked. An answer that does not match the schema is returned to the model
   with the problem, up to ``REPAIRS`` times. If it still does not match, the request fails.
3. Valid answers and refusals are stored under the digest of the question.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Protocol, TypeVar

from pydantic import BaseModel, Field, ValidationError

from neurflow.circuit.evidence import clean
from neurflow.labels.cache import Cache, CachedAnswer
from neurflow.labels.labeler import (
    JudgeRequest,
    LabelAnswer,
    LabelFailed,
    LabelRequest,
    Picture,
    digest,
)
from neurflow.labels.prompt import (
    BEST,
    Question,
    compare_question,
    judge_question,
    label_question,
)

REPAIRS = 2
"""number of times that a malformed answer is returned to the model"""
QUOTED = 2000
"""number of characters of a malformed answer that are quoted back to the model"""
MAX_ANSWER = 200_000
"""number of characters of an answer that are read"""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Reply:
    """The reply of a chat model."""

    text: str
    refused: bool = False
    final: bool = True
    """whether it may be stored; False for replies made up for an estimate"""


class Chat(Protocol):
    """A chat model that answers questions about pictures."""

    name: str
    """name of the model"""
    identity: str
    """identity of the model and the server; chats with equal identities may share a cache"""

    def complete(self, question: Question) -> Reply:
        """Answer a question; raises as ``Labeler`` does."""

    def stop(self) -> None:
        """End all waits between attempts, because the work is over."""


class ChatLabeler:
    """Labels groups and judges labels with a chat model; safe to share between threads.

    Args:
        chat: the chat model.
        cache: stores answers; None asks every question again.
        sheet: whether the pictures of a request are pasted into one, for servers that accept only one.
    """

    source = "model"

    def __init__(self, chat: Chat, cache: Cache | None = None, *, sheet: bool = False) -> None:
        self.chat, self.cache, self.sheet = chat, cache, sheet
        self.name, self.identity = chat.name, chat.identity
        self._asking: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def label(self, request: LabelRequest) -> LabelAnswer:
        """Name the content that the group's crops share; see ``Labeler``."""
        return self._ask(label_question(request, sheet=self.sheet), _read_label)

    def judge(self, request: JudgeRequest) -> tuple[float, ...]:
        """Score how well each picture fits the label; see ``Judge``."""
        question = judge_question(request, sheet=self.sheet)
        return self._ask(question, lambda text: _read_scores(text, len(request.pictures)))

    def compare(
        self, labels: Sequence[str], pictures: Sequence[Picture]
    ) -> tuple[tuple[float, ...], ...]:
        """Score how well each picture fits each label, in one request; see ``Comparer``."""
        question = compare_question(labels, pictures, sheet=self.sheet)
        return self._ask(question, lambda text: _read_table(text, len(labels), len(pictures)))

    def stop(self) -> None:
        """End all waits; see ``Labeler``."""
        self.chat.stop()

    def _ask(self, question: Question, read: Callable[[str], Answer]) -> Answer:
        key = digest(self.identity, question.digest)
        with self._asking[key]:  # if several threads ask the same question, it is sent once
            cached = self.cache.get(key) if self.cache else None
            if cached and cached.refused:
                raise _refused(self.name, cached.answer)
            if cached:
                try:
                    return read(cached.answer)
                except ValueError:
                    pass  # stored by another version, or edited: ask again
            return self._fresh(question, key, read)

    def _fresh(self, question: Question, key: str, read: Callable[[str], Answer]) -> Answer:
        asked, problem = question, ""
        for _ in range(1 + REPAIRS):
            reply = self.chat.complete(asked)
            try:
                answer = None if reply.refused else read(reply.text)
            except ValueError as error:
                problem = clean(str(error), 200)
                quoted = json.dumps(reply.text[:QUOTED])
                asked = replace(
                    question,
                    parts=(
                        *question.parts,
                        f"Your answer was {quoted}. It cannot be used: {problem}. "
                        "Answer with one JSON object that follows the schema, and nothing else.",
                    ),
                )
                continue
            if self.cache and reply.final:
                cached = CachedAnswer(
                    model=self.name, answer=reply.text[:MAX_ANSWER], refused=reply.refused
                )
                self.cache.put(key, cached)
            if answer is None:
                raise _refused(self.name, reply.text)
            return answer
        raise LabelFailed(
            f"{self.name} gives no usable answer: {problem}. Try again, or use another model."
        )


class _Score(BaseModel):
    crop: int
    score: float = Field(ge=0, le=1)


class _Scores(BaseModel):
    scores: list[_Score] = Field(max_length=1000)


class _Row(BaseModel):
    crop: int
    scores: list[Annotated[int, Field(ge=0, le=BEST)]] = Field(max_length=1000)


class _Table(BaseModel):
    scores: list[_Row] = Field(max_length=1000)


def _read_label(text: str) -> LabelAnswer:
    return _parsed(LabelAnswer, text)


def _read_scores(text: str, count: int) -> tuple[float, ...]:
    found = {item.crop: item.score for item in _parsed(_Scores, text).scores}
    if set(found) != set(range(1, count + 1)):
        raise ValueError(f"scores are needed for crops 1 to {count}, each once")
    return tuple(found[number] for number in range(1, count + 1))


def _read_table(text: str, labels: int, count: int) -> tuple[tuple[float, ...], ...]:
    """Return scores ``[label][crop]``, from 0 to 1."""
    rows = {row.crop: row.scores for row in _parsed(_Table, text).scores}
    if set(rows) != set(range(1, count + 1)) or {len(row) for row in rows.values()} != {labels}:
        raise ValueError(f"{labels} scores are needed for crops 1 to {count}, each crop once")
    return tuple(
        tuple(rows[number][i] / BEST for number in range(1, count + 1)) for i in range(labels)
    )


Model = TypeVar("Model", bound=BaseModel)


def _parsed(kind: type[Model], text: str) -> Model:
    """Parse the JSON object in a text, which may be fenced or surrounded by other text.

    Reasoning before the answer is ignored. Raises ``ValueError`` if no object follows the schema.
    """
    text = text[:MAX_ANSWER].rpartition("</think>")[2]
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise ValueError("there is no JSON object in it")
    try:
        return kind.model_validate_json(text[start : end + 1])
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{where}: {problem['msg']}" if where else problem["msg"]) from None


def _refused(name: str, reason: str) -> LabelFailed:
    quoted = clean(reason, 120)
    return LabelFailed(f"{name} refuses to answer{quoted and f': {quoted}'}.")
