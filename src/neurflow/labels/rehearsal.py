"""Estimates the usage of labelling by a dry run that sends nothing.

Cached answers are used unchanged, and every other answer is replaced by a made-up one of typical
length. The estimate therefore counts exactly the requests that the cache does not answer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection

from neurflow.circuit import Circuit
from neurflow.labels.budget import PICTURE_TOKENS, Usage, estimate
from neurflow.labels.chat import ChatLabeler, Reply
from neurflow.labels.label_requests import Settings
from neurflow.labels.labeler import Judge, Labeler
from neurflow.labels.labelling import Job, label_groups
from neurflow.labels.prompt import Question


def rehearse(
    circuit: Circuit,
    labeler: Labeler,
    *,
    judge: Judge | None = None,
    groups: Collection[str] | None = None,
    settings: Settings | None = None,
    picture_tokens: int = PICTURE_TOKENS,
) -> Usage:
    """Estimate the usage of ``label`` with the same arguments.

    Args:
        circuit: as for ``label``.
        labeler: as for ``label``; requests that its cache answers are not counted.
        judge: as for ``label``.
        groups: as for ``label``.
        settings: as for ``label``.
        picture_tokens: tokens of one picture, from 16 to 600 depending on the model.

    Returns:
        Requests, tokens in and out; all 0 if no chat model is asked.
    """
    chat = Rehearsal(picture_tokens)
    stand_in = _stand_in(labeler, chat) or labeler
    judge = (_stand_in(judge, chat) or judge) if judge else None
    label_groups(Job(circuit, stand_in, judge, groups, settings or Settings()))
    return chat.used


def _stand_in(original: Labeler | Judge, chat: Rehearsal) -> ChatLabeler | None:
    """Return a stand-in for a labeler that asks a chat model; None for others, which cost nothing."""
    if not isinstance(original, ChatLabeler):
        return None
    stand_in = ChatLabeler(chat, original.cache, sheet=original.sheet)
    stand_in.name, stand_in.identity = original.name, original.identity
    return stand_in


class Rehearsal:
    """A chat model that sends nothing: it counts requests and returns made-up answers.

    Attributes:
        used: the usage counted so far.
    """

    name = identity = "rehearsal"

    def __init__(self, picture_tokens: int = PICTURE_TOKENS) -> None:
        self.used = Usage()
        self._picture_tokens = picture_tokens
        self._lock = threading.Lock()

    def complete(self, question: Question) -> Reply:
        """Return a made-up answer of typical length."""
        with self._lock:
            self.used += estimate(question, self._picture_tokens)
            number = self.used.requests
        answer = json.loads(question.answer)
        if "label" in answer:  # different labels, so that they are compared with each other
            answer["label"] = f"{answer['label']} {number}"
        return Reply(json.dumps(answer), final=False)

    def stop(self) -> None:
        """Do nothing, because nothing waits."""
