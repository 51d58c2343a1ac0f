"""``hf:NAME_OR_FOLDER``: loads an image classifier of transformers with its image processor.

A model that compares pictures with texts (CLIP, SigLIP, …) becomes a classifier if the classes are
given as texts: the logits are the similarities of the picture to these texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from neurflow.errors import ModelError
from neurflow.model.source import DEFAULT, Loaded, Request
from neurflow.runtime.extras import require
from neurflow.runtime.paths import expanded

PROMPT = "a photo of a {}"
"""text for a class name of one word"""
OUTPUTS = {"multi_label_classification": "sigmoid", "regression": "values"}
"""``problem_type`` of a configuration → kind of the outputs"""


def load(name: str, request: Request) -> Loaded:
    """Load a classifier with its processor and the class names of its configuration.

    Raises:
        ModelError: transformers is not installed, or there is no such model.
    """
    require("hf")
    import transformers

    if request.weights not in (None, DEFAULT):
        raise ModelError(
            f"hf: has one set of weights per name, so {request.weights!r} cannot be given. "
            "Omit --weights."
        )
    if (folder := expanded(name)).is_dir():
        name = str(folder)
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": Path(name).is_dir()}
    try:
        config = transformers.AutoConfig.from_pretrained(name, **options)
        processor = transformers.AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            name, **options
        )
        texts = request.classes_as_text
        kind = transformers.AutoModel if texts else transformers.AutoModelForImageClassification
        trained = request.weights is not None
        module = (
            kind.from_pretrained(name, **options) if trained else kind.from_config(config)  # type: ignore[no-untyped-call]
        )
        if texts:
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    except Exception as error:  # damaged folders make transformers raise errors of many kinds
        raise ModelError(_why_not(name, error)) from None
    transform = Processor(processor, getattr(config, "num_channels", 3))
    if texts:
        return Loaded(_with_texts(module, tokenizer, request), transform, request.names)
    labels = config.id2label or {}
    names = [str(labels[i]) for i in sorted(labels)]
    output = OUTPUTS.get(getattr(config, "problem_type", None) or "")
    return Loaded(module, transform, names, output=output)


def _why_not(name: str, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"hf:{name} cannot be loaded: {reason} "
        "Give the name of an image classifier of transformers, or a folder with config.json, "
        "preprocessor_config.json and weights; for a CLIP add --classes-as-text and --class-names."
    )


class Processor:
    """An image processor as a transform.

    Args:
        processor: image processor of transformers.
        channels: number of input channels of the network; 1 for grey pictures.

    Attributes:
        mean, std: for turning inputs back into values in 0…1; missing if the processor does not
            normalise.
        blue_first: whether the order of the channels is blue, green, red.
    """

    def __init__(self, processor: Any, channels: int = 3) -> None:
        self._processor = processor
        self._mode = "L" if channels == 1 else "RGB"
        self.blue_first = bool(getattr(processor, "do_flip_channel_order", False))
        if getattr(processor, "do_normalize", False):
            rescaled = getattr(processor, "do_rescale", False)
            white = 255 * (processor.rescale_factor if rescaled else 1)
            self.mean = [value / white for value in processor.image_mean]
            self.std = [value / white for value in processor.image_std]

    def __call__(self, picture: Image.Image) -> Tensor:
        """Return the input ``[channel, height, width]``."""
        made = self._processor(images=picture.convert(self._mode), return_tensors="pt")
        pixels = made.get("pixel_values")
        if not isinstance(pixels, Tensor) or pixels.ndim != 4:
            raise ModelError(
                f"{type(self._processor).__name__} turns a picture into patches or tokens, not into an "
                "input [channel, height, width]. Networks that take them cannot be explained."
            )
        return pixels[0]


class TextClassifier(nn.Module):
    """A picture's similarities to fixed texts.

    Args:
        model: has ``get_image_features`` and optionally ``logit_scale``.
        texts: ``[class, feature]`` embeddings.
    """

    def __init__(self, model: nn.Module, texts: Tensor) -> None:
        super().__init__()
        self.model = model
        self.texts: Tensor
        self.register_buffer("texts", nn.functional.normalize(texts, dim=-1))

    def forward(self, images: Tensor) -> Tensor:
        """Return ``[batch, class]`` cosines times the model's logit scale."""
        model: Any = self.model
        features = nn.functional.normalize(_pooled(model.get_image_features(images)), dim=-1)
        scale = model.logit_scale.exp() if hasattr(model, "logit_scale") else 1.0
        return scale * features @ self.texts.T


def _pooled(features: Any) -> Tensor:
    """Return ``[batch, feature]`` also from the structures of newer versions of transformers."""
    return features if isinstance(features, Tensor) else features.pooler_output


def _with_texts(model: Any, tokenizer: Any, request: Request) -> nn.Module:
    names: Sequence[str] | None = request.names
    if not names:
        raise ModelError("Classes as text need the texts, one per line: --class-names FILE")
    if not hasattr(model, "get_image_features"):
        raise ModelError(
            f"A {type(model).__name__} does not compare pictures with texts. Give a CLIP or SigLIP "
            "model, or omit --classes-as-text."
        )
    texts = [name if " " in name.strip() else PROMPT.format(name) for name in names]
    with torch.no_grad():
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return TextClassifier(model, _pooled(model.eval().get_text_features(**tokens)))
