"""A person's changes to labels: set, pin, unpin and reject.

Each function takes a group and returns a changed copy. The functions therefore work on circuits in
memory and, through ``LabelStore.update``, on stored circuits, even while a labeler is running.
"""

from __future__ import annotations

from datetime import UTC, datetime

from neurflow.circuit import NeuronGroup
from neurflow.circuit.evidence import LONG, SHORT, Evidence, Mark, Rejected, clean
from neurflow.errors import RequestError


def set_label(
    group: NeuronGroup, label: str, caption: str | None = None, *, author: str
) -> NeuronGroup:
    """Set the label of a group. The label is pinned, so that no labeler changes it.

    If no caption is given, the present one is kept if the label is unchanged.

    Raises:
        RequestError: the label or the author is empty.
    """
    words = clean(label, SHORT)
    if not words:
        raise RequestError("The label needs words. To remove a label, reject it.")
    if caption is None and words == group.label:
        sentence = group.caption
    else:
        sentence = clean(caption, LONG) if caption else None
    mark = _mark(author)
    evidence = Evidence(source="person", author=mark.author, time=mark.time, pin=mark)
    others = tuple(refused for refused in group.rejected if refused.label != words)
    return group.model_copy(
        update={"label": words, "caption": sentence, "evidence": evidence, "rejected": others}
    )


def pin(group: NeuronGroup, *, author: str) -> NeuronGroup:
    """Prevent labelers from changing the label; raises ``RequestError`` if there is none."""
    return _with_pin(group, _mark(author))


def unpin(group: NeuronGroup) -> NeuronGroup:
    """Allow labelers to change the label again; raises ``RequestError`` if there is none."""
    return _with_pin(group, None)


def reject(group: NeuronGroup, *, author: str) -> NeuronGroup:
    """Remove the label, and prevent labelers from proposing it again.

    Raises:
        RequestError: there is no label.
    """
    label = _labelled(group)
    mark = _mark(author)
    refused = Rejected(label=label, author=mark.author, time=mark.time)
    return group.model_copy(
        update={
            "label": None,
            "caption": None,
            "evidence": None,
            "rejected": (*group.rejected, refused)[-64:],
        }
    )


def _with_pin(group: NeuronGroup, mark: Mark | None) -> NeuronGroup:
    _labelled(group)
    evidence = group.evidence or Evidence(source="person", author="unknown", time=datetime.now(UTC))
    return group.model_copy(update={"evidence": evidence.model_copy(update={"pin": mark})})


def _labelled(group: NeuronGroup) -> str:
    if group.label is None:
        raise RequestError(
            f"Group {group.id} has no label. Give it one: neurflow label set RUN {group.id} WORDS"
        )
    return clean(group.label, SHORT)


def _mark(author: str) -> Mark:
    name = clean(author, SHORT)
    if not name:
        raise RequestError("The author needs a name: --author NAME")
    return Mark(author=name, time=datetime.now(UTC))
