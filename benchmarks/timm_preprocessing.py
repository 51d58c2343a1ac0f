"""Compare the preprocessing of every pretrained model of timm with timm's own, on two odd pictures.

``python -m benchmarks.timm_preprocessing`` prints how many of how many are equal, and which are not.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from neurflow.model.of_timm import preprocessing


def main() -> None:
    """Builds no network: the data configurations are enough."""
    from timm.data import create_transform, resolve_data_config
    from timm.models import get_pretrained_cfg, list_pretrained

    y, x = np.mgrid[:301, :503]
    wide = Image.fromarray(np.stack([x * 5, y * 3, x * y // 7], -1).astype(np.uint8))
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    equal: dict[str, bool] = {}
    names = list_pretrained()
    keys = []
    for name in names:
        data = resolve_data_config(pretrained_cfg=get_pretrained_cfg(name).to_dict())
        keys.append(repr(sorted(data.items())))
        if keys[-1] not in equal:
            expected, own = create_transform(**data, is_training=False), preprocessing(data)
            equal[keys[-1]] = all(torch.equal(expected(p), own(p)) for p in (wide, tall))
            if not equal[keys[-1]]:
                print(f"{name} differs: {data}")
    print(f"{sum(equal[key] for key in keys)} of {len(names)} weights are fed as timm feeds them")
    print(f"({len(equal)} different configurations)")


if __name__ == "__main__":
    main()
