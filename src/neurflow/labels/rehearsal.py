"""What labelling would cost: the whole of it gone through, with nothing sent.

Answers that are kept are taken as they are; for each of the others a made-up one of usual length
stands in. So what is counted is what a run would ask now, and no more.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection

from neurflow.circuit import Circuit
from neurflow.labels.asking import Settings
from neurflow.labels.budget import PICTURE_TOKENS, Usage, estimate
from neurflow.labels.chat import ChatLabeler, Reply
from neurflow.labels.labeler import Judge, Labeler
from neurflow.labels.labelling import label_groups
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
    """Estimate what ``label`` with the same arguments would use.

    Args:
        circuit: as for ``label``.
        labeler: likewise; what a chat labeler has in its cache is not counted.
        judge: likewise.
        groups: likewise.
        settings: likewise.
        picture_tokens: what one picture counts; models differ, from 16 to 600.

    Returns:
        Requests, tokens in and out; all 0 where no chat model is asked.
    """
    chat = Rehearsal(picture_tokens)
    stand_in = _of_chat(labeler, chat)
    label_groups(
        circuit,
        stand_in or labeler,
        judge=(_of_chat(judge, chat) or judge) if judge else None,
        groups=groups,
        settings=settings,
    )
    return chat.used


def _of_chat(who: Labeler | Judge, chat: Rehearsal) -> ChatLabeler | None:
    """What stands in for one that asks a chat model; None for others, which cost nothing."""
    if not isinstance(who, ChatLabeler):
        return None
    stand_in = ChatLabeler(chat, who.cache, sheet=who.sheet)
    stand_in.name, stand_in.identity = who.name, who.identity
    return stand_in


class Rehearsal:
    """A chat that sends nothing: counts what would be sent, and answers anything.

    Attributes:
        used: what was counted.
    """

    name = identity = "rehearsal"

    def __init__(self, picture_tokens: int = PICTURE_TOKENS) -> None:
        self.used = Usage()
        self._picture_tokens = picture_tokens
        self._lock = threading.Lock()

    def complete(self, question: Question) -> Reply:
        """A made-up answer of usual length."""
        with self._lock:
            self.used += estimate(question, self._picture_tokens)
            number = self.used.requests
        answer = json.loads(question.answer)
        if "label" in answer:  # labels that differ are held against each other
            answer["label"] = f"{answer['label']} {number}"
        return Reply(json.dumps(answer), final=False)

    def stop(self) -> None:
        """Nothing waits here."""
