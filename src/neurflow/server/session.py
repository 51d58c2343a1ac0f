"""The session of a live explorer: a stored circuit, its model, and the pictures that are tried.

1. The model loads in the background; the circuit can be explored meanwhile.
2. An uploaded picture, or one of the samples, is explained by ``neurflow.debugging``'s
   ``PictureExplainer``. Its pixels are kept, so that masking needs no second upload; the least recently
   used are dropped.
3. A mask runs ``what_if``, as ``neurflow debug --mask`` does, without the check on all crops. The
   groups may belong to another cut of the layers' trees than the stored one.
4. The audit runs over the samples, and yields to masks and pictures between its steps.
5. Why one picture gets its answer: each group is masked by itself (``one_picture``), a few groups a
   request, so that other requests run in between.
6. Edits of groups are stored beside the circuit, and pictures are then explained by the new groups.

Methods that compute run in the ``worker``, so no two of them run at once. A second worker, ``files``,
makes the data of the page and does not wait for the model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

from PIL import Image
from torch import Tensor

from neurflow.circuit import Circuit, LabelStore, change_edits, load_circuit, load_edits
from neurflow.circuit.edits import Edits, merge, redo, split, undo
from neurflow.circuit.reload import same_model
from neurflow.debugging.audit import audit
from neurflow.debugging.picture_explainer import PictureExplainer
from neurflow.debugging.result import AuditReport, Change, WhatIf
from neurflow.debugging.what_if import Controls, change_of, what_if
from neurflow.errors import ImagesError, NeurFlowError, RequestError, WorkError
from neurflow.labels.manual import reject, set_label
from neurflow.labels.zero_shot import ClipLabeler
from neurflow.model import Model
from neurflow.pages.debug_payload import shown_picture
from neurflow.pages.messages import (
    AuditState,
    EditRequest,
    Effects,
    EffectsRequest,
    Findings,
    LabelReply,
    LabelRequest,
    LivePicture,
    MaskRequest,
    MergeRequest,
    NeuronMaps,
    Phase,
    Sample,
    SplitRequest,
    Status,
)
from neurflow.pages.payload import payload
from neurflow.pictures.images import Images, load_images
from neurflow.refs import ImageRef
from neurflow.server.answer_cache import AnswerCache
from neurflow.server.one_picture import effects_on, maps_on
from neurflow.server.uploads import picture_from
from neurflow.server.word_search import WordSearch
from neurflow.server.worker import CancellableProgress, Worker, YieldingProgress

HELD = 32
"""pictures kept in memory for masking"""


class NotFound(RequestError):
    """There is no such picture or group."""


class PictureGone(NotFound):
    """There is no such picture, or no longer: the client can send it again."""


class ModelMissing(WorkError):
    """The model is not loaded: the circuit can be explored, but nothing can be computed."""


class Session:
    """A stored circuit with its model.

    Args:
        folder: folder of the result.
        load_model: function that loads the circuit's model; called in the worker's thread.
        load_samples: function that loads labelled pictures to try and to audit with, or returns None;
            called in the worker's thread.
        author: name under which labels are stored.
        load_clip: function that loads a CLIP-style model to search groups by their crops, or None.

    Raises:
        ResultError: there is no result, or it is damaged.
    """

    def __init__(
        self,
        folder: str | Path,
        load_model: Callable[[Circuit], Model],
        load_samples: Callable[[Model], Images | None] = lambda _: None,
        *,
        author: str = "explorer",
        load_clip: Callable[[], ClipLabeler] | None = None,
    ) -> None:
        self.folder, self.author = Path(folder), author
        self.circuit = load_circuit(folder)
        self.worker, self.files = Worker(), Worker()
        self._cache = AnswerCache()
        self._load_model, self._load_samples = load_model, load_samples
        self._model: Model | None = None
        self._explainer: PictureExplainer | None = None
        self._samples: Images | None = None
        self._failure = self._trouble = ""
        self._pictures: OrderedDict[int, tuple[ImageRef, Tensor]] = OrderedDict()
        self._audit = _audit_state("not started")
        self._search = WordSearch(load_clip)

    def start(self) -> None:
        """Load model and samples in the background."""
        self.worker.submit(self._load)

    def stop(self) -> bool:
        """Stop both workers; return whether the running computation has ended."""
        self.files.stop(0)
        return self.worker.stop()

    def page_data(self) -> bytes:
        """Return the ``PageData`` of the circuit as JSON, with the labels that are stored now.

        Runs in ``files``.
        """
        return self._cache.get(
            (),
            self.folder.glob("*.json"),
            lambda: payload(load_circuit(self.folder)).model_dump_json().encode(),
        )

    def status(self) -> Status:
        """Return whether the model is loaded."""
        model, target = self._model, self.circuit.target
        of_classes = model is not None and target.layer == model.network.output_name
        return Status(
            state="failed" if self._failure else "ready" if self._explainer else "loading",
            message=self._failure or self._trouble,
            maskable=of_classes,
            means=all(layer.means for layer in self.circuit.layers[:-1]),
            classes=[c for c in (target.neuron, target.minus) if of_classes and c is not None],
        )

    def samples(self) -> list[Sample]:
        """Return the pictures to try."""
        self._ready()
        refs = self._samples.refs if self._samples else ()
        return [Sample(number=i, name=ref.name, label=ref.label) for i, ref in enumerate(refs)]

    def add_upload(self, name: str, data: bytes) -> LivePicture:
        """Read an uploaded picture; raise ``ImagesError`` if it is no picture or too large."""
        model, _ = self._ready()
        picture: Image.Image = picture_from(data, name)
        return self._add(ImageRef(name=name), load_images([picture], model).read(0))

    def add_sample(self, number: int) -> LivePicture:
        """Read one of the samples; raise ``NotFound`` if there is no sample of that number."""
        self._ready()
        if self._samples is None or number >= len(self._samples):
            raise NotFound(f"There is no sample {number}.")
        return self._add(self._samples.refs[number], self._samples.read(number))

    def picture(self, number: int) -> LivePicture:
        """Read a kept picture again."""
        return self._add(*self._held(number), number)

    def mask(self, request: MaskRequest, progress: CancellableProgress) -> WhatIf:
        """Return the effect of masking groups on kept pictures."""
        model, _ = self._ready()
        held = [self._held(number) for number in request.pictures]
        images = Images(tuple(ref for ref, _ in held), lambda i: held[i][1], digest="")
        circuit, change = self._asked(request)
        controls = Controls(request.draws, request.seed, crops=False)
        return what_if(model, circuit, images, change, controls, progress)

    def effects(self, request: EffectsRequest, progress: CancellableProgress) -> Effects:
        """Return the effect of each group on the answer that a kept picture gets.

        Masks and other requests that arrive meanwhile are answered between two groups.
        """
        model, _ = self._ready()
        _, pixels = self._held(request.picture)
        circuit, change = self._asked(request)

        def pause() -> None:
            progress.advance()
            self.worker.yield_to_others()

        return effects_on(model, circuit, pixels, change, request, pause)

    def find(self, words: str) -> Findings:
        """Return the classes and groups that words mean."""
        model, _ = self._ready()
        return self._search.find(model, self.circuit, words)

    def neuron_maps(self, number: int, layer: str) -> NeuronMaps:
        """Return where each neuron of a layer responds on a kept picture."""
        model, _ = self._ready()
        if layer not in {each.name for each in self.circuit.layers[:-1]}:
            raise NotFound(f"The circuit has no layer {layer!r} below its target.")
        return maps_on(model, self.circuit, self._held(number)[1], layer)

    def start_audit(self) -> AuditState:
        """Start the audit unless it has started already; raise ``ImagesError`` without samples."""
        self._ready()
        if self._samples is None:
            raise ImagesError(
                "An audit needs labelled pictures. Start with: neurflow explore RUN --images FOLDER"
            )
        if self._audit.state in ("not started", "failed"):
            self._audit = _audit_state("running")
            self.worker.submit(self._run_audit)
        return self._audit

    def audit(self) -> AuditState:
        """Return the state of the audit."""
        return self._audit

    def label(self, id: str, request: LabelRequest) -> LabelReply:
        """Set or remove the label of a group, and store the change beside the circuit."""
        if id not in _ids(self.circuit):
            raise NotFound(f"The circuit has no group {id!r}.")
        if request.label is None:
            change = partial(reject, author=self.author)
        else:
            change = partial(
                set_label, label=request.label, caption=request.caption, author=self.author
            )
        group = LabelStore(self.folder).update(id, change)
        return LabelReply(id=id, label=group.label, caption=group.caption)

    def edits(self) -> Edits:
        """Return the edits of groups."""
        return load_edits(self.folder)

    def edit(self, request: EditRequest) -> Edits:
        """Merge or split groups, undo or redo, and store that beside the circuit."""

        def change(circuit: Circuit, edits: Edits) -> Edits:
            match request:
                case MergeRequest():
                    return merge(circuit, edits, request.groups)
                case SplitRequest():
                    return split(circuit, edits, request.group, request.members)
                case _:
                    return undo(edits) if request.kind == "undo" else redo(edits)

        changed = change_edits(self.folder, change)
        self.circuit = load_circuit(self.folder)
        if self._model is not None:
            self._explainer = PictureExplainer(self._model, self.circuit)
        return changed

    def _load(self) -> None:
        try:
            model = self._load_model(self.circuit)
            same_model(self.circuit, model)
            explainer = PictureExplainer(model, self.circuit)
            self._model, self._explainer = model, explainer
        except Exception as error:  # the page shows the reason; the circuit can still be explored
            self._failure = str(error) or type(error).__name__
            return
        try:
            self._samples = self._load_samples(model)
            self._trouble = " ".join(self._samples.notes) if self._samples else ""
        except NeurFlowError as error:  # pictures can be tried without samples
            self._trouble = str(error)

    def _ready(self) -> tuple[Model, PictureExplainer]:
        """Return model and explainer; raise ``ModelMissing`` without them. Jobs run after loading."""
        if self._model is None or self._explainer is None:
            raise ModelMissing(self._failure or "The model is still loading.")
        return self._model, self._explainer

    def _add(self, ref: ImageRef, pixels: Tensor, number: int | None = None) -> LivePicture:
        _, explainer = self._ready()
        report = explainer.explain(ref.name, ref.label, pixels)
        if number is None:
            number = _number_of(ref, pixels)
        self._pictures[number] = (ref, pixels)
        self._pictures.move_to_end(number)
        while len(self._pictures) > HELD:
            self._pictures.popitem(last=False)
        return LivePicture(number=number, shown=shown_picture(self.circuit, report))

    def _asked(self, request: MaskRequest | EffectsRequest) -> tuple[Circuit, Change]:
        """Return the circuit in the cut that a request names, and its groups in neurons."""
        circuit = self.circuit.cut(request.cuts) if request.cuts else self.circuit
        try:
            return circuit, change_of(circuit, request.groups, ablation=request.by)
        except RequestError as error:
            if _ids(circuit).issuperset(request.groups):
                raise
            raise NotFound(str(error)) from None

    def _held(self, number: int) -> tuple[ImageRef, Tensor]:
        self._ready()
        if number not in self._pictures:
            raise PictureGone(
                f"The server does not have picture {number}: it was started again, or has read "
                f"{HELD} others since. Drop the picture again."
            )
        self._pictures.move_to_end(number)
        return self._pictures[number]

    def _run_audit(self) -> None:
        def tell(stage: str, done: int, total: int) -> None:
            self._audit = _audit_state("running", stage, done, total)

        try:
            model, _ = self._ready()
            report = audit(
                self.circuit, model, self._samples, progress=YieldingProgress(self.worker, tell)
            )
            self._audit = _audit_state("done", report=report)
        except Exception as error:  # no caller waits for it: the page polls the state
            self._audit = _audit_state("failed", str(error) or type(error).__name__)


def _ids(circuit: Circuit) -> set[str]:
    return {group.id for layer in circuit.layers for group in layer.groups}


def _audit_state(
    state: Phase,
    message: str = "",
    done: int = 0,
    total: int = 0,
    report: AuditReport | None = None,
) -> AuditState:
    return AuditState(state=state, message=message, done=done, total=total, report=report)


def _number_of(ref: ImageRef, pixels: Tensor) -> int:
    """Return the same number in every server: an address never shows another picture."""
    digest = sha256(ref.name.encode() + pixels.cpu().numpy().tobytes()).digest()
    return int.from_bytes(digest[:8], "big") % 10**9
