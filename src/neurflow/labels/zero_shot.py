"""Zero-shot labels: words from a vocabulary that fit a group's crops better than other crops.

1. A CLIP-style model embeds crops and words; similarity is the cosine.
2. Raw similarity favours words that fit everything. A word is therefore scored by its contrast: the
   mean similarity to the group's crops minus that to other crops, in pooled standard deviations.
3. The word with the largest contrast is the label. The best few words are stored with their contrast,
   and the margin of the first shows how clear the choice is.
4. Even for an untrained model, some word fits crops that look similar. As a control, meaningless words
   are made from the vocabulary's letters in random order. The best of as many of them as the vocabulary
   has words is chosen ``CONTROLS`` times, and a label must beat all of these (``validation``).

The model is loaded by ``transformers`` from a local folder or the hub, from safetensors only. Code
that comes with a model is never run.
"""

from __future__ import annotations

import io
import threading
import zlib
from collections.abc import Sequence
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neurflow.circuit.evidence import SHORT, WordScore, clean
from neurflow.errors import RequestError, WorkError
from neurflow.labels.labeler import JudgeRequest, LabelAnswer, LabelFailed, LabelRequest, Picture
from neurflow.runtime.extras import require

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
TOP = 5
"""number of words stored with a label"""
TEMPLATE = "a photo of {}"
BATCH = 64
CONTROLS = 19
"""number of meaningless words that a label is compared with; 1 label in 20 then wins by chance"""
POOL = 1000
"""largest number of meaningless words from which the controls are chosen"""
SHARPNESS = 1.0
"""slope of the judge's logistic scores, per standard deviation of the similarities"""


class ClipLabeler:
    """Labels groups by contrast, and judges labels by similarity; safe to share between threads.

    Args:
        model: folder of a CLIP-style model, or its name on the hub.
        vocabulary: words or short phrases.
        template: text with ``{}`` where the word is inserted before it is embedded.
        device: device of the model.

    Raises:
        RequestError: ``transformers`` is not installed, the template has no place for a word, or the
            model cannot be loaded or does not embed both pictures and text.
    """

    source = "words"

    def __init__(
        self,
        model: str | Path,
        vocabulary: Sequence[str] = (),
        *,
        template: str = TEMPLATE,
        device: str = "cpu",
    ) -> None:
        if "{}" not in template:
            raise RequestError(
                f"The template {template!r} has no {{}} for the word. Add it, e.g. {TEMPLATE!r}."
            )
        self.name = clean(Path(model).name if Path(model).is_dir() else str(model), SHORT)
        self._model, self._processor = _load(str(model), device)
        self._device, self._template = device, template
        self.vocabulary = tuple(dict.fromkeys(filter(None, (clean(w, SHORT) for w in vocabulary))))
        self._lock = threading.Lock()
        self._known: dict[bytes, np.ndarray] = {}
        self._words = self._texts(self.vocabulary)

    def label(self, request: LabelRequest) -> LabelAnswer:
        """Return the words with the largest contrast; see ``Labeler``."""
        if len(self.vocabulary) < 2:
            raise RequestError(
                "Zero-shot labels need a vocabulary of at least two words: --vocabulary FILE"
            )
        values = self._contrast(self._words, request.pictures, request.others)
        refused = {word.casefold() for word in request.rejected}
        order = [i for i in np.argsort(-values) if self.vocabulary[i].casefold() not in refused]
        if not order:
            raise LabelFailed("every word of the vocabulary is rejected for this group")
        words = tuple(WordScore(self.vocabulary[i], float(values[i])) for i in order[:TOP])
        return LabelAnswer(label=words[0].word, words=words)

    def judge(self, request: JudgeRequest) -> tuple[float, ...]:
        """Score crops by their similarity to the label, relative to the mean; see ``Judge``."""
        text = self._texts([request.label])[0]
        similarity = self._pictures(request.pictures) @ text
        deviation = float(similarity.std())
        if deviation == 0:
            return (0.5,) * len(request.pictures)
        scores = 1 / (1 + np.exp(-SHARPNESS * (similarity - similarity.mean()) / deviation))
        return tuple(float(score) for score in scores)

    def controls(self, request: LabelRequest, choice: int) -> tuple[str, ...]:
        """Return meaningless words that fit the crops best; see ``Controls``."""
        if not request.pictures or not request.others:
            return ()
        words, vectors = self._nonsense
        values = self._contrast(vectors, request.pictures, request.others)
        rng = np.random.default_rng(len(words))
        drawn = rng.integers(0, len(words), (CONTROLS, choice))
        best = drawn[np.arange(CONTROLS), values[drawn].argmax(1)]
        return tuple(dict.fromkeys(words[i] for i in best))

    def contrast(
        self, texts: Sequence[str], pictures: Sequence[Picture], others: Sequence[Picture]
    ) -> np.ndarray:
        """Return ``[text]`` contrast between some pictures and others, in standard deviations."""
        return self._contrast(self._texts(texts), pictures, others)

    def _contrast(
        self, words: np.ndarray, pictures: Sequence[Picture], others: Sequence[Picture]
    ) -> np.ndarray:
        if not pictures or not others:
            raise LabelFailed("the result has no other crops to compare with")
        return contrast(self._pictures(pictures) @ words.T, self._pictures(others) @ words.T)

    @cached_property
    def _nonsense(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Meaningless words and their embeddings."""
        words = nonsense(self.vocabulary or (ALPHABET,), POOL)
        return words, self._texts(words)

    def _texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit vectors ``[text, feature]``."""
        phrases = [self._template.format(text) for text in texts]
        rows = []
        for start in range(0, len(phrases), BATCH):
            tokens = self._processor(
                text=phrases[start : start + BATCH],
                return_tensors="pt",
                padding=True,
                truncation=True,
            )
            rows.append(self._embed(self._model.get_text_features, tokens))
        return np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32)

    def _pictures(self, pictures: Sequence[Picture]) -> np.ndarray:
        """Return unit vectors ``[picture, feature]``; each picture is embedded once."""
        with self._lock:
            fresh = list(dict.fromkeys(p.data for p in pictures if p.data not in self._known))
            for start in range(0, len(fresh), BATCH):
                batch = fresh[start : start + BATCH]
                images = [Image.open(io.BytesIO(data)).convert("RGB") for data in batch]
                pixels = self._processor(images=images, return_tensors="pt")
                rows = self._embed(self._model.get_image_features, pixels)
                self._known.update(zip(batch, rows, strict=True))
        return np.stack([self._known[picture.data] for picture in pictures])

    def _embed(self, embed: Any, inputs: Any) -> np.ndarray:
        import torch  # a slow import that manual labels do not need

        with torch.inference_mode():
            features = embed(**inputs.to(self._device))
        # newer versions return the pooled vector among other outputs
        vectors = features if isinstance(features, torch.Tensor) else features.pooler_output
        array = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
        if not np.isfinite(array).all():
            raise WorkError(
                f"{self.name} returns embeddings that are not finite. Check its weights, or use "
                "another model."
            )
        return array


def nonsense(words: Sequence[str], most: int) -> tuple[str, ...]:
    """Make words with the lengths of the given words, from their letters in random order.

    There are ``CONTROLS`` times as many, but at most ``most``. They depend only on ``words``.
    """
    rng = np.random.default_rng(zlib.crc32(" ".join(words).encode()))
    letters = [letter for word in words for letter in word if not letter.isspace()]
    made: dict[str, None] = {}
    for word in islice(cycle(words), min(CONTROLS * len(words), most)):
        drawn = "".join(" " if each.isspace() else str(rng.choice(letters)) for each in word)
        made[drawn] = None
    return tuple(word for word in made if word not in words)


def contrast(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the difference of mean similarities in units of the pooled standard deviation.

    Args:
        own: ``[crop, word]`` similarities of the group's crops.
        others: ``[crop, word]`` of other crops.

    Returns:
        ``[word]``; 0 if all similarities are equal.
    """
    spread = np.sqrt((own.var(0) + others.var(0)) / 2)
    difference = own.mean(0) - others.mean(0)
    return np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 0)


def read_vocabulary(file: str | Path) -> tuple[str, ...]:
    """Read words from a text file with one per line; empty lines and lines starting with # are skipped.

    Raises:
        RequestError: the file cannot be read, or has fewer than two words.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"Cannot read the vocabulary {str(file)!r}: {error}. Give a text file with a word per line."
        ) from None
    words = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if len(words) < 2:
        raise RequestError(f"The vocabulary {str(file)!r} needs at least two words, one per line.")
    return words


def _load(model: str, device: str) -> tuple[Any, Any]:
    """Load the model, from safetensors only, and the processor."""
    require("clip")
    from transformers import AutoModel, AutoProcessor
    from transformers.utils import logging as module

    logging: Any = module
    load_processor: Any = AutoProcessor.from_pretrained
    local = Path(model).is_dir()
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": local}
    quiet = local and logging.is_progress_bar_enabled()  # the progress of a download is shown
    try:
        if quiet:
            logging.disable_progress_bar()
        processor = load_processor(model, **options)
        network = AutoModel.from_pretrained(model, use_safetensors=True, **options)
    except Exception as error:  # loaders raise errors of many types
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RequestError(
            f"Cannot load a CLIP-style model from {model!r}: {clean(reason, 200)}. Give a folder "
            "with its configuration, tokenizer and safetensors, or a name such as "
            "openai/clip-vit-base-patch32"
        ) from None
    finally:
        if quiet:
            logging.enable_progress_bar()
    if not hasattr(network, "get_text_features") or not hasattr(network, "get_image_features"):
        raise RequestError(
            f"{model!r} does not embed both pictures and text. Give a CLIP-style model, such as "
            "openai/clip-vit-base-patch32"
        )
    return network.to(device).eval(), processor
