"""Compare our preprocessing with timm's for every pretrained model of timm, on two pictures.

    python -m benchmarks.timm_preprocessing [--step N]

Each model is loaded by ``timm:NAME`` as for a user, but on the meta device: without a download and
without memory for weights. Models without a classifier are loaded with two class names, as for a
fine-tuned file; a few cannot have a classifier, and are only built. The transform is compared with
``timm.data.create_transform(**resolve_model_data_config(model), is_training=False)``.
Prints how many models have equal inputs, and names the others.
"""

from __future__ import annotations

import argparse
import contextlib
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from neurflow.errors import ModelError
from neurflow.model.of_timm import load, preprocessing
from neurflow.model.source import DEFAULT, Loaded, Request


def main() -> None:
    """Compare all pretrained models, or every N-th."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--step", type=int, default=1, help="compare every N-th model")
    step = parser.parse_args().step
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform
    from timm.models import list_pretrained

    y, x = np.mgrid[:301, :503]
    wide = Image.fromarray(np.stack([x * 5, y * 3, x * y // 7], -1).astype(np.uint8))
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    names = list_pretrained()[::step]
    seen: dict[Any, bool] = {}
    equal = headless = 0
    for name in names:
        loaded, without_head = _loaded(name)
        headless += without_head
        data = resolve_model_data_config(loaded.module)  # type: ignore[no-untyped-call]
        expected, own = create_transform(**data, is_training=False), loaded.transform
        key = own, repr(expected)
        if key not in seen:
            seen[key] = all(torch.equal(expected(p), own(p)) for p in (wide, tall))
        equal += seen[key]
        if not seen[key]:
            print(f"{name} differs: {data}")
    print(f"{equal} of {len(names)} models have the inputs of timm")
    print(f"({len(seen)} different configurations; {headless} models have no classifier)")


def _loaded(name: str) -> tuple[Loaded, bool]:
    """Load a model without values, and tell whether it has no classifier of its own."""
    from timm import create_model
    from timm.data.config import resolve_model_data_config

    unread = patch("timm.models._builder.load_pretrained", lambda *_, **__: None)
    with unread, torch.device("meta"):
        for request in (Request(weights=DEFAULT), Request(names=("a", "b"))):
            with contextlib.suppress(ModelError):
                return load(name, request), request.names is not None
        module = create_model(name, pretrained=True)
        data = resolve_model_data_config(module)  # type: ignore[no-untyped-call]
        return Loaded(module, preprocessing(data)), True


if __name__ == "__main__":
    main()
