"""Labels by hand: a person sets, pins, lets go and rejects.

Each function takes a group as it is and returns it changed, so that it serves a circuit in memory
and, through ``storage.LabelStore.update``, one that is stored while machines label it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from neurflow.circuit import NeuronGroup
from neurflow.circuit.evidence import LONG, SHORT, Evidence, Mark, Rejected, clean
from neurflow.errors import RequestError


def set_label(
    group: NeuronGroup, label: str, caption: str | None = None, *, author: str
) -> NeuronGroup:
    """Name a group, or name it otherwise; the label is pinned: no machine will change it.

    A caption that is left out is kept as long as the label stays the same.

    Raises:
        RequestError: the label or the author is empty.
    """
    words = clean(label, SHORT)
    if not words:
        raise RequestError("A label needs words. To take one away, reject it.")
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
    """Keep machines from changing the label as it is; ``RequestError`` if there is none."""
    return _with_pin(group, _mark(author))


def unpin(group: NeuronGroup) -> NeuronGroup:
    """Let machines change the label again; ``RequestError`` if there is none."""
    return _with_pin(group, None)


def reject(group: NeuronGroup, *, author: str) -> NeuronGroup:
    """Take the label away; no machine may give the same again. ``RequestError`` if there is none."""
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
        raise RequestError("Whose label is it? Give a name: --author NAME")
    return Mark(author=name, time=datetime.now(UTC))
