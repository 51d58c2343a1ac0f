"""Networks by reference: model files, timm, torchvision, transformers, ONNX."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models
from torchvision.transforms._presets import ImageClassification

from neurflow import Model, load_images, load_model
from neurflow.errors import ModelError, RequestError
from neurflow.model import Preprocessing
from neurflow.model.of_timm import preprocessing
from neurflow.model.of_torchvision import SLOWLY_INITIALISED, _options, _preset
from neurflow.model.of_transformers import Processor
from neurflow.model.preprocessing import picture_of
from neurflow.model.source import Request
from tests.clip import save_tiny_clip

NETWORK = (
    "from torch import nn\n"
    "def make():\n"
    "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(),\n"
    "        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
)


def odd_picture(width=151, height=97):
    """Uneven in both directions."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 5, y * 3, x * y // 7], -1).astype(np.uint8))


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    """Writes files into the user's folder; their imports are removed afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path

    yield write
    for name in set(sys.modules) - known:
        place = getattr(sys.modules[name], "__file__", None) or ""
        if place.startswith(str(tmp_path)) or name in ("proj", "mylib"):
            del sys.modules[name]


def test_a_model_file_can_import_its_folder_and_define_dataclasses(own_file, tmp_path, capsys):
    text = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from mylib.arch import make\n"
        "@dataclass\n"
        "class Size:\n"
        "    width: int = 16\n"
        "print('loading')\n"
        "whole = make()\n"
        "def build():\n"
        "    print('building')\n"
        "    return make()\n"
    )
    folder = own_file(net=text, mylib__arch=NETWORK)
    for factory in ("build", "whole"):
        assert load_model(f"file:{folder / 'net.py'}:{factory}").network.classes == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "loading\nbuilding\nloading\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "net.py").write_text("from mylib import arch\ndef build(): return arch.other()\n")
    (other / "mylib.py").write_text("class arch:\n    other = lambda: 1 / 0\n")
    with pytest.raises(ModelError, match=r"mylib.py, line 2: ZeroDivisionError"):
        load_model(f"file:{other / 'net.py'}:build")


def test_a_model_file_in_a_package_can_use_relative_imports(own_file):
    text = "from .parts import make\ndef build(): return make()\n"
    folder = own_file(proj__models=text, proj__parts=NETWORK)
    (folder / "proj" / "__init__.py").touch()
    assert load_model(f"file:{folder / 'proj' / 'models.py'}:build").network.classes == 2


def test_a_model_file_does_not_see_the_command_line(own_file, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["neurflow", "discover", "file:net.py:make"])
    text = NETWORK + "import argparse\nargparse.ArgumentParser().parse_args()\n"
    folder = own_file(net=text)
    assert load_model(f"file:{folder / 'net.py'}:make").network.classes == 2
    assert sys.argv[1:] == ["discover", "file:net.py:make"]


def test_a_model_file_may_change_the_folder_and_the_default_device(own_file, monkeypatch):
    text = (
        "import os, torch\nos.chdir(os.path.dirname(__file__) + '/data')\n"
        + NETWORK
        + (
            "def far():\n"
            "    made = make()\n"
            "    torch.set_default_device('meta')\n"
            "    return made.requires_grad_(os.path.exists('size'))\n"
            "def empty():\n"
            "    return make().to('meta')\n"
        )
    )
    folder = own_file(net=text)
    (folder / "data").mkdir()
    (folder / "data" / "size").write_text("2")
    monkeypatch.chdir(folder)
    assert load_model("file:net.py:far", input_size=32).network.classes == 2
    assert (Path.cwd(), torch.get_default_device()) == (folder, torch.device("cpu"))
    with pytest.raises(ModelError, match=r"on the meta device and has no values. Load its weights"):
        load_model("file:net.py:empty")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make(): return open('/no/such/file')", r"net.py, line 1: FileNotFoundError"),
        ("\n\ndef make(:", r"net.py, line 3: SyntaxError"),
        ("import no_such_module_at_all", r"net.py, line 1: ModuleNotFoundError"),
        ("raise SystemExit(3)", r"net.py, line 1: SystemExit: 3\n.*__name__ == '__main__'"),
        ("x = 1\0", r"net.py: SyntaxError: source code string cannot contain null bytes"),
        ("def make(n, m=1): pass", "net.py:make needs n, but it is called without arguments"),
        ("def make(): return 1, ['a']", "make of .*net.py returns a tuple; it must return"),
        ("def make(): pass", "returns nothing"),
        ("make = 3", "is an int; it must be an nn.Module or a function"),
    ],
)
def test_failures_in_a_model_file_are_reported_with_their_line(own_file, text, message):
    folder = own_file(net=text)
    with pytest.raises(ModelError, match=message):
        load_model(f"file:{folder / 'net.py'}:make")
    with pytest.raises(ModelError, match="Name the function"):
        load_model(f"file:{folder / 'net.py'}")


@pytest.mark.parametrize(
    "text",
    [
        "raise KeyboardInterrupt",
        "def make(): raise KeyboardInterrupt",
        "from torch import nn\nclass make(nn.Linear):\n"
        "    def __init__(self): super().__init__(1, 1)\n"
        "    def forward(self, x): raise KeyboardInterrupt",
    ],
)
def test_an_interrupt_in_a_model_file_is_no_failure(own_file, text):
    with pytest.raises(KeyboardInterrupt):
        load_model(f"file:{own_file(net=text) / 'net.py'}:make").network  # noqa: B018


def test_options_without_effect_on_a_user_model_are_refused(own_file):
    text = NETWORK + (
        "import neurflow, torch\n"
        "def model():\n"
        "    return neurflow.Model(make(), transform=lambda p: torch.zeros(3, 32, 32),\n"
        "                          class_names=['a', 'b'])\n"
    )
    reference = f"file:{own_file(net=text) / 'net.py'}:model"
    assert load_model(reference, class_names=["a", "b"]).class_names == ("a", "b")
    with pytest.raises(ModelError, match="its own class names"):
        load_model(reference, class_names=["c", "d"])
    for option, value in {"mean": 0.5, "std": 1, "resize": 40, "input_size": 32}.items():
        with pytest.raises(ModelError, match=f"--{option.replace('_', '-')} would have no effect"):
            load_model(reference, **{option: value})
    assert load_model(reference, output="sigmoid").output_spec.kind == "sigmoid"


def test_weights_from_a_file_need_no_random_initialisation():
    for name in SLOWLY_INITIALISED:
        builder = models.get_model_builder(name)
        for request, drawn in ((Request(), True), (Request(file="a.pth"), False)):
            assert _options(builder, request)["init_weights"] is drawn
        models.get_model(name, weights=None, **_options(builder, Request(file="a.pth")))


def distinct_configurations():
    """All data configurations of timm's pretrained weights, and some other input sizes."""
    from timm.data import resolve_data_config
    from timm.models import get_pretrained_cfg, list_pretrained

    found = {}
    for name in list_pretrained():
        data = resolve_data_config(pretrained_cfg=get_pretrained_cfg(name).to_dict())
        found.setdefault(repr(sorted(data.items())), data)
    data = next(iter(found.values()))
    for mode in ("center", "squash", "border"):
        yield {**data, "crop_mode": mode, "input_size": (3, 60, 90), "crop_pct": 0.9}
    # the largest add no case and take most of the time
    yield from (data for data in found.values() if data["input_size"][1] <= 400)


def test_inputs_of_timm_models_equal_those_of_timm():
    from timm.data import create_transform

    picture, tried = odd_picture(), list(distinct_configurations())
    for data in tried:
        expected = create_transform(**data, is_training=False)(picture)
        assert torch.equal(preprocessing(data)(picture), expected), data
    assert len(tried) > 100


def test_the_input_size_is_passed_to_models_that_are_built_for_one():
    model = load_model("timm:test_vit", "random", input_size=96)
    assert model.input_size == (3, 96, 96)
    assert model.network.classes == 1000


def test_torchvision_uses_the_preset_of_the_weights_and_names_others(tmp_path):
    picture = odd_picture()
    presets = {
        preset: weights.transforms()
        for name in models.list_models(module=models)
        for weights in models.get_model_weights(name)
        if (preset := _preset(weights.transforms())).crop[0] < 300
    }
    assert len(presets) > 5
    for preset, transform in presets.items():
        assert torch.equal(preset(picture), transform(picture))
    state = models.mobilenet_v2().state_dict()
    known = models.MobileNet_V2_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    for name, resize, notes in ((known, 256, 0), ("mine.pth", 232, 1)):
        torch.save(state, tmp_path / name)
        model = load_model("torchvision:mobilenet_v2", tmp_path / name)
        assert (model.transform.resize, len(model._notes)) == (resize, notes)
    assert "IMAGENET1K_V1 resizes to 256" in model._notes[0]
    assert "That of IMAGENET1K_V2 is used" in model._notes[0]


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (112, "resized to 128 before the crop of 112 × 112, in the proportion"),
        ((96, 192), "resized to 110 × 219"),
    ],
)
def test_another_input_size_keeps_the_proportion_of_torchvisions_preset(size, told):
    model = load_model("torchvision:squeezenet1_1", "random", input_size=size)
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    assert (preset.resize_size[0], preset.crop_size[0]) == (256, 224)
    proportion = [round(side * 256 / 224) for side in ([size] if size == 112 else size)]
    assert model.transform.resize == (proportion[0] if size == 112 else tuple(proportion))
    assert told in model._notes[0]
    picture = odd_picture(300, 200)
    own = load_model("torchvision:squeezenet1_1", "random", input_size=size, resize=200)
    assert (own.transform.resize, own.transform(picture).shape[1]) == (200, model.input_size[1])
    assert not own._notes  # the proportion is not used
    if size == 112:
        expected = ImageClassification(crop_size=112, resize_size=128)(picture)
        assert torch.equal(model.transform(picture), expected)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("torchvision:fcn_resnet50", "not a floating-point image classifier.*models.segmentation"),
        ("torchvision:quantized_resnet18", "models.quantization.* Near names: resnet18"),
        ("net.pth", "--weights net.pth"),
        ("file:~/net.ipynb:make", "There is no Python file"),
    ],
)
def test_references_of_other_kinds_are_explained(reference, told):
    with pytest.raises(ModelError, match=told):
        load_model(reference, "random")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny image classifier of transformers, saved by ``save_pretrained``."""
    import transformers

    path = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8, id2label={0: "ant", 1: "bee", 2: "cat"},
        label2id={"ant": 0, "bee": 1, "cat": 2},
    )  # fmt: skip
    transformers.ViTForImageClassification(config).save_pretrained(path)
    (path / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32},
                "do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 2,
                "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4],
            }
        )
    )  # fmt: skip
    return path


def test_transformers_models_have_preprocessing_class_names_and_blocks(folder):
    import transformers

    model, picture = load_model(f"hf:{folder}"), odd_picture()
    assert model.class_names == ("ant", "bee", "cat")
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    expected = processor(images=picture, return_tensors="pt")["pixel_values"][0]
    assert torch.equal(model.transform(picture), expected)
    assert model.transform.mean == [0.5, 0.4, 0.3]
    blocks = [name for name in model.proposed_layers() if name.rpartition(".")[2].isdigit()]
    assert len(blocks) == 3
    assert model.proposed_layers()[-1] == "classifier"
    with pytest.raises(
        ModelError, match="has its own preprocessing, so --mean would have no effect"
    ):
        load_model(f"hf:{folder}", mean=0.5)
    with pytest.raises(ModelError, match="Give the name of an image classifier"):
        load_model(f"hf:{folder.parent}")


def test_channels_and_kind_of_outputs_of_transformers_models(tmp_path):
    import transformers

    more = {"num_labels": 3, "image_size": 32, "problem_type": "multi_label_classification"}
    vit = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 8}
    config = transformers.ViTConfig(num_channels=1, intermediate_size=32, **vit, **more)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    processor = transformers.ViTImageProcessor(
        size={"height": 32, "width": 32}, rescale_factor=1 / 127.5, image_mean=[1], image_std=[1]
    )
    processor.save_pretrained(tmp_path)
    model, grey = load_model(f"hf:{tmp_path}"), odd_picture(32, 32).convert("L")
    assert model.output_spec.kind == "sigmoid"
    seen = model.picture(model.transform(grey))
    np.testing.assert_allclose(np.asarray(seen), np.asarray(grey), atol=1)
    turned = Processor(transformers.MobileViTImageProcessor(crop_size={"height": 97, "width": 97}))
    blue = picture_of(turned(Image.new("RGB", (97, 97), (0, 0, 200))), turned)
    assert blue.getpixel((9, 9)) == (0, 0, 200)


def processors_of_classifiers():
    """Every image processor of transformers that belongs to a family with a classifier."""
    import transformers
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as CLASSIFIERS,
    )

    mapped = IMAGE_PROCESSOR_MAPPING_NAMES
    usual = [mapped[family].get("torchvision") for family in CLASSIFIERS if family in mapped]
    smaller = {"DonutImageProcessor": {"size": {"height": 64, "width": 48}}}
    for name in sorted({*filter(None, usual), "ViTImageProcessorPil"}):
        if not name.startswith(("TimmWrapper", "ImageGPT", "Siglip2", "Gemma3", "TextNet")):
            yield name, getattr(transformers, name)(**smaller.get(name, {}))


def test_pictures_reach_transformers_as_its_pipelines_give_them():
    from transformers.image_utils import load_image

    odd = odd_picture(60, 41)
    turned = odd.copy()
    turned.getexif()[0x0112] = 6
    pictures = [odd.convert("L"), turned, odd.convert("RGBA").resize((4, 3))]
    net, tried = torch.nn.Conv2d(3, 2, 1), 0
    for name, processor in processors_of_classifiers():
        images = load_images(pictures, Model(net, transform=Processor(processor)))
        for place, picture in enumerate(pictures):
            expected = processor(images=load_image(picture), return_tensors="pt")["pixel_values"][0]
            assert torch.equal(images.read(place), expected), (name, place)
        tried += 1
    assert tried >= 18


def test_processors_that_make_patches_are_refused():
    import transformers

    model = Model(
        torch.nn.Conv2d(3, 2, 1), transform=Processor(transformers.Siglip2ImageProcessor())
    )
    with pytest.raises(ModelError, match="Siglip2ImageProcessor turns a picture into patches"):
        model.input_size  # noqa: B018


def test_proposed_layers_of_swin_are_its_blocks():
    import transformers

    config = transformers.SwinConfig(
        embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=4, image_size=64, num_labels=3
    )
    swin = Model(
        transformers.SwinForImageClassification(config), transform=Preprocessing(crop=(64, 64))
    )
    proposed = swin.proposed_layers()
    assert proposed[-3:] == ("swin.encoder.layers.0", "swin.encoder.layers.1", "classifier")
    one = models.SwinTransformer([4, 4], 16, [2, 2], [2, 2], [4, 4], num_classes=3)
    blocks = Model(one, transform=Preprocessing(crop=(64, 64))).proposed_layers()
    assert {"features.1.0", "features.1.1", "features.3.0", "features.3.1"} < set(blocks)


def test_a_clip_with_texts_as_classes_is_a_classifier(tmp_path):
    import transformers

    save_tiny_clip(tmp_path)
    names, picture = ("wheel", "a red cap"), odd_picture()
    model = load_model(f"hf:{tmp_path}", class_names=names, classes_as_text=True)
    clip = transformers.CLIPModel.from_pretrained(tmp_path).eval()
    processor = transformers.CLIPProcessor.from_pretrained(tmp_path)
    texts = ["a photo of a wheel", "a red cap"]  # a single word is put into a sentence
    inputs = processor(images=picture, text=texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        expected = clip(**inputs).logits_per_image
        found = model.module(model.transform(picture)[None])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert model.class_names == names
    assert model.network.note is None  # it is cut in the exported graph, not by hooks
    with pytest.raises(ModelError, match="need the texts"):
        load_model(f"hf:{tmp_path}", classes_as_text=True)


def test_the_error_without_the_onnx_converter_suggests_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(RequestError, match=r"pip install 'neurflow\[onnx\]'"):
        load_model("onnx:net.onnx")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.onnx")
@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning")
def test_an_onnx_file_can_be_loaded(tmp_path):
    module = models.resnet18(num_classes=3).eval()
    file = tmp_path / "net.onnx"
    torch.onnx.export(module, (torch.rand(1, 3, 64, 64),), file, dynamo=False,
                      input_names=["x"], dynamic_axes={"x": {0: "batch"}})  # fmt: skip
    model, images = load_model(f"onnx:{file}"), torch.rand(2, 3, 64, 64)
    assert isinstance(model.transform, Preprocessing)
    assert model.input_size == (3, 64, 64)
    with torch.no_grad():
        (found,) = model.outputs([model.node(model.network.output_name)])(images)
        torch.testing.assert_close(found.flatten(1), module(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mean": float("nan")}, "finite"),
        ({"mean": 0.5, "std": 58.4}, "divide both by 255"),
    ],
)
def test_impossible_means_and_deviations_of_pixels_are_refused(options, told):
    with pytest.raises(ModelError, match=told):
        load_model("torchvision:squeezenet1_1", "random", **options)


def test_a_size_that_torchvision_cannot_build_is_reported_in_one_line():
    with pytest.raises(ModelError, match=r"cannot build vit_b_16 .* indivisible by patch size"):
        load_model("torchvision:vit_b_16", "random", input_size=100)
