"""Functions on the labels of a stored result, for the command line and other programs.

* ``chat_labeler`` and ``words_labeler`` make the labelers that come with the package.
* ``estimate`` estimates the requests that labelling needs; ``label_run`` labels and validates.
* ``check_run`` checks labels on pictures of named concepts.
* ``change_run`` applies a person's changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurflow.circuit import Circuit, LabelStore, NeuronGroup
from neurflow.circuit.label_file import label_of, with_labels
from neurflow.errors import RequestError
from neurflow.labels.budget import Budget, Usage
from neurflow.labels.cache import Cache
from neurflow.labels.chat import ChatLabeler
from neurflow.labels.labelling import Change, Job, Outcome, label_groups
from neurflow.labels.openai_client import OpenAIChat
from neurflow.labels.rehearsal import rehearse
from neurflow.labels.zero_shot import TEMPLATE, ClipLabeler, read_vocabulary
from neurflow.runtime.progress import Progress

if TYPE_CHECKING:
    from neurflow.model import Model

CACHE = "label-cache"
"""subfolder of a run with the answers of chat models"""


def chat_labeler(
    model: str, run: Path, budget: Budget, *, sheet: bool = False, **server: Any
) -> ChatLabeler:
    """Make a labeler that asks a chat model, and caches its answers beside the result.

    Args:
        model: its name on the server.
        run: folder of the result.
        budget: limits on requests and cost.
        sheet: whether the pictures of a request are pasted into one.
        server: further arguments of ``OpenAIChat``.
    """
    return ChatLabeler(OpenAIChat(model, budget=budget, **server), Cache(run / CACHE), sheet=sheet)


def words_labeler(
    model: str, vocabulary: Path | None, *, template: str = TEMPLATE, device: str = "cpu"
) -> ClipLabeler:
    """Make a labeler that chooses words from a vocabulary with a CLIP-style model.

    Raises:
        RequestError: the vocabulary or the model cannot be read.
    """
    words = read_vocabulary(vocabulary) if vocabulary else ()
    return ClipLabeler(model, words, template=template, device=device)


def chosen_groups(
    circuit: Circuit, groups: Sequence[str], layers: Sequence[str]
) -> list[str] | None:
    """Return the ids of the named groups and of all groups of the named layers; None for all.

    Raises:
        RequestError: there is no such group.
        LayerError: there is no such layer.
    """
    if not groups and not layers:
        return None
    found: list[str] = [circuit.group(id).id for id in groups]
    return found + [group.id for name in layers for group in circuit.layer(name).groups]


def estimate(job: Job) -> Usage | None:
    """Estimate the usage of ``label_run``; None if no chat model is involved."""
    if not any(isinstance(each, ChatLabeler) for each in (job.labeler, job.judge)):
        return None
    return rehearse(
        job.circuit, job.labeler, judge=job.judge, groups=job.groups, settings=job.settings
    )


def label_run(job: Job, run: Path, progress: Progress | None = None) -> Outcome:
    """Label and validate groups of a stored result; each label is stored as soon as it is made.

    Raises:
        NeurFlowError: the work ended before any label was stored.
    """
    outcome = label_groups(job, out=run, progress=progress)
    if outcome.stopped and outcome.circuit == job.circuit:
        raise outcome.stopped
    return outcome


def check_run(
    run: Path, model: Model, pictures: Any, progress: Progress | None = None
) -> tuple[Circuit, frozenset[str]]:
    """Check those labels of a stored result that name a concept of the pictures.

    Args:
        run: folder of the result.
        model: the model of the result.
        pictures: a folder with one folder of pictures per concept, named after it.
        progress: receives stages and steps.

    Returns:
        The circuit with its checks, and the ids of the groups that were checked.
    """
    from neurflow.labels.concepts import concept_checks, with_check

    store = LabelStore(run)
    circuit = store.circuit
    checks, labels = concept_checks(circuit, model, pictures, progress=progress), {}
    for id, check in checks.items():
        before = circuit.group(id).label
        group = store.update(id, lambda g, c=check, s=before: with_check(g, c, s))  # type: ignore[misc]
        labels[id] = label_of(group)
    return with_labels(circuit, labels), frozenset(checks)


def change_run(run: Path, groups: Sequence[str], change: Change) -> list[NeuronGroup]:
    """Change the labels of some groups of a stored result by hand; see ``labels.manual``.

    Raises:
        RequestError: there is no such group. Nothing is changed then.
    """
    store = LabelStore(run)
    if not groups:
        raise RequestError("Name at least one group, such as layer4.1/3.")
    for id in groups:
        store.circuit.group(id)
    return [store.update(id, change) for id in groups]
