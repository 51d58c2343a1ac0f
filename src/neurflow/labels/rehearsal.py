"""What labelling would cost: the whole of it gone through, with nothing sent.

Answers that are kept are taken as they are; for each of the others a made-up one of usual length
stands in. So what is counted is what a run would ask now, and no more.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from neurflow.circuit import Circuit
from neurflow.labels.budget import PICTURE_TOKENS, Usage, estimate
from neurflow.labels.chat import ChatLabeler, Reply
from neurflow.labels.labeler import Labeler
from neurflow.labels.labelling import Settings, label_groups
from neurflow.labels.prompt import Question


def rehearse(
    circuit: Circuit,
    labeler: Labeler,
    *,
    judge: Labeler | None = None,
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
    label_groups(
        circuit,
        _rehearsed(labeler, chat),
        judge=_rehearsed(judge, chat) if judge else None,
        groups=groups,
        settings=settings,
    )
    return chat.used


def _rehearsed(labeler: Labeler, chat: Rehearsal) -> Labeler:
    if not isinstance(labeler, ChatLabeler):
        return labeler
    stand_in = ChatLabeler(chat, labeler.cache, sheet=labeler.sheet)
    stand_in.name, stand_in.identity = labeler.name, labeler.identity
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
        return Reply(question.answer, final=False)

    def stop(self) -> None:
        """Nothing waits here."""
