"""Compare our preprocessing with timm's for every pretrained model of timm, on two large pictures.

    python -m benchmarks.timm_preprocessing

Prints how many models have equal preprocessing, and names the others. No network is built.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from PIL import Image

from neurflow.model.of_timm import preprocessing


def main() -> None:
    """Compare all data configurations."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    from timm.data.config import resolve_data_config
    from timm.data.transforms_factory import create_transform
    from timm.models import get_pretrained_cfg, list_pretrained

    y, x = np.mgrid[:301, :503]
    wide = Image.fromarray(np.stack([x * 5, y * 3, x * y // 7], -1).astype(np.uint8))
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    equal: dict[str, bool] = {}
    names = list_pretrained()
    keys = []
    for name in names:
        settings = get_pretrained_cfg(name)
        assert settings is not None, name
        data = resolve_data_config(pretrained_cfg=settings.to_dict())  # type: ignore[no-untyped-call]
        keys.append(repr(sorted(data.items())))
        if keys[-1] not in equal:
            expected, own = create_transform(**data, is_training=False), preprocessing(data)
            equal[keys[-1]] = all(torch.equal(expected(p), own(p)) for p in (wide, tall))
            if not equal[keys[-1]]:
                print(f"{name} differs: {data}")
    print(
        f"{sum(equal[key] for key in keys)} of {len(names)} models have the preprocessing of timm"
    )
    print(f"({len(equal)} different configurations)")


if __name__ == "__main__":
    main()
