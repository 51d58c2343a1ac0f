"""The models of the zoo, built with random weights that leave no activation dead."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torchvision import models

SMALL = 128
"""side of the input in pixels, for architectures that accept any"""

GIANTS = (
    "swin_v2_b regnet_y_16gf regnet_x_32gf vit_l_32 convnext_large efficientnet_v2_l regnet_y_32gf "
    "vit_l_16 vit_h_14 regnet_y_128gf"
).split()
"""the largest models of torchvision, which are checked last"""

TIMM = """
starnet_s050 dla46x_c mobilevit_xxs edgenext_xx_small mobilenetv3_small_050
ese_vovnet19b_slim_dw mnasnet_small repghostnet_050 efficientvit_m0 ghostnet_050 regnetx_002
cspnext_tiny iformer_t xcit_nano_12_p8_224 cs3darknet_focus_s efficientvit_b0 swiftformer_xs
efficientformerv2_s0 pvt_v2_b0 convnext_atto fasternet_t0 fastvit_t8 lcnetv2_small
inception_next_atto rexnet_100 mobileone_s1 pit_ti_224 hardcorenas_b repvit_m1 coat_tiny
eva02_tiny_patch14_224 convit_tiny deit_tiny_patch16_224 gmlp_ti16_224 hgnetv2_b0 shvit_s1
vit_tiny_r_s16_p8_224 cpubone_nano efficientvim_m1 crossvit_tiny_240 mambaout_femto
maxvit_pico_rw_256 levit_128s densenet121 halonet_h1 nf_regnet_b0 dpn48b resnet14t
visformer_tiny resnest14d csatv2 resnetv2_18 legacy_seresnet18 poolformerv2_s12 cait_xxs24_224
skresnet18 gcvit_xxtiny tiny_vit_5m_224 efficientformer_l1 hrnet_w18_small lowformer_b0
nest_tiny convmixer_768_32 vit_srelpos_small_patch16_224 flexivit_small vitamin_small_224
legacy_xception tnt_s_legacy_patch16_224 inception_v3 rdnet_tiny twins_svt_small mvitv2_tiny
res2next50 volo_d1_224 sam2_hiera_tiny xception41p sequencer2d_s hiera_tiny_224
swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 swinv2_tiny_window16_256 davit_tiny
focalnet_tiny_srf selecsls42 tresnet_m nextvit_small inception_v4 inception_resnet_v2
mobilenetv5_base pnasnet5large samvit_base_patch16_224 naflexvit_base_patch16_parfac_gap
beit_base_patch16_224 qwen3_vit_88m nasnetalarge vgg11 gemma4_vit_167m deepseek_vit_412m
starnet_s100 dla46_c mobilevitv2_050 lcnet_035 tinynet_e edgenext_x_small repghostnet_058
efficientvit_m1 xcit_nano_12_p8_384 ese_vovnet19b_slim cs3darknet_s ghostnetv3_050
convnextv2_atto rexnetr_100 cspnext_s pit_ti_distilled_224 regnetx_004 hardcorenas_a
mobileone_s0 repvit_m0_9 coat_lite_tiny eva02_tiny_patch14_336 deit_tiny_distilled_patch16_224
swiftformer_s efficientformerv2_s1 hgnetv2_b1 vit_tiny_r_s16_p8_384 iformer_s lcnetv2_base
cpubone_t0 fastvit_t12 fasternet_t1 efficientvim_m1_dist levit_conv_128s densenetblur121d
crossvit_9_240 efficientvit_b1 mambaout_kobe nf_regnet_b1 eca_botnext26ts_256
coatnet_pico_rw_224 shvit_s2 resnet18 resnetv2_18d poolformer_s12 cait_xxs24_384 dpn68
gmixer_12_224 pvt_v2_b1 hrnet_w18_small_v2 legacy_seresnext26_32x4d nest_tiny_jx resnest26d
lowformer_b1 gcvit_xtiny tiny_vit_11m_224 csatv2_21m vit_relpos_small_patch16_rpn_224 skresnet34
tnt_s_patch16_224 twins_pcpvt_small convmixer_1024_20_ks9_p14 res2net50_14w_8s volo_d1_384
xception41 convit_small inception_next_tiny swin_s3_tiny_224 swinv2_cr_tiny_384
swinv2_tiny_window8_256 focalnet_tiny_lrf
""".split()
"""the smallest model of every family of timm, then the second smallest of many; both by size"""


def build(family: str, name: str) -> tuple[nn.Module, int]:
    """Return (module, input side) of a model with random weights from a fixed seed."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    module, sides = BUILDERS[family](name)
    randomise(module.eval())
    for side in sides:
        try:
            with torch.no_grad():
                module(torch.zeros(1, 3, side, side))
        except Exception:
            if side == sides[-1]:
                raise
        else:
            return module, side
    raise ValueError("no input side was given")


def randomise(module: nn.Module) -> None:
    """Set random statistics of batch norms, and random values of parameters that are initialised to 0.

    Residual branches and heads are often initialised to zero, and then any cut would seem exact.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None:
            part.running_mean.normal_(0, 0.2)
            if part.running_var is not None:
                part.running_var.uniform_(0.6, 1.6)
    for name, parameter in module.named_parameters():
        if parameter.numel() and float(parameter.detach().abs().max()) < 1e-3:
            if parameter.ndim > 1:
                nn.init.normal_(parameter, 0, 0.02)
            elif not name.endswith("bias"):
                nn.init.uniform_(parameter, 0.5, 1.0)


Built = tuple[nn.Module, list[int]]


def _torchvision(name: str) -> Built:
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    return models.get_model(name, weights=None, **options), [SMALL, 224]


def _timm(name: str) -> Built:
    import timm

    module = timm.create_model(name, pretrained=False)
    settings: Any = module.pretrained_cfg
    side = settings.get("input_size", (3, 224, 224))[-1]
    fixed = settings.get("fixed_input_size", False)
    return module, [side] if fixed else [SMALL, side]


def _transformers(name: str) -> Built:
    import transformers

    kind, options = TRANSFORMERS[name]
    config = getattr(transformers, f"{kind}Config")(num_labels=10, **options)
    return getattr(transformers, f"{kind}ForImageClassification")(config), [64]


TOKENS = {
    "hidden_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "image_size": 64,
}
STAGES = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 2, 1]}
WINDOWS = {"embed_dim": 24, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("ViT", TOKENS),
    "deit": ("DeiT", TOKENS),
    "convnextv2": ("ConvNextV2", STAGES),
    "swin": ("Swin", {**WINDOWS, "image_size": 64}),
    "resnet": ("ResNet", {**STAGES, "embedding_size": 16}),
    "beit": ("Beit", {**TOKENS, "out_indices": [1, 2, 3, 4]}),
}
BUILDERS = {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}

FAMILIES = {
    "transformers": list(TRANSFORMERS),
    "torchvision": [n for n in models.list_models(module=models) if n not in GIANTS] + GIANTS,
    "timm": TIMM,
}
