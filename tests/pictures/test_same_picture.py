"""The same picture gives the same input from every source and at every depth."""

import io
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2

from neurflow import Model, load_images
from neurflow.errors import ImagesError
from neurflow.model import Preprocessing
from neurflow.pictures.images import UnreadableImage

SIDE = 24
GREY = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) // 2 + 60
COLOUR = np.stack([GREY, GREY[::-1], GREY.T], axis=2)


def net(channels):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


@cache
def model_of(channels=3):
    plain = Preprocessing(None, (SIDE, SIDE), (0.0,) * channels, (1.0,) * channels)
    return Model(net(channels), transform=plain, class_names=["ant", "bee", "cat"])


def saved(picture, form, **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def palette_with_alpha():
    grey = Image.fromarray(GREY).convert("P")
    grey.info["transparency"] = bytes(range(256))
    return grey


PICTURES = {
    "8 bits": (Image.fromarray(GREY), "PNG"),
    "16 bits": (Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"),
    "16 bits, TIFF": (Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"),
    "32-bit integers": (Image.fromarray(GREY.astype(np.int32) * 257), "TIFF"),
    "floating point": (Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"),
    "grey with alpha": (Image.fromarray(np.stack([GREY, GREY // 2], 2), "LA"), "PNG"),
    "palette": (Image.fromarray(GREY).convert("P"), "PNG"),
    "palette with alpha": (palette_with_alpha(), "PNG"),
    "RGB": (Image.fromarray(GREY).convert("RGB"), "PNG"),
    "RGBA": (Image.fromarray(np.dstack([GREY, GREY, GREY, GREY // 3])), "PNG"),
    "CMYK": (Image.fromarray(GREY).convert("CMYK"), "TIFF"),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["center", "border"])
def test_default_preprocessing_keeps_the_depth_of_a_picture(tmp_path, channels, fit):
    values = np.linspace(20_000, 20_255, SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)
    Image.fromarray(values).save(tmp_path / "deep.png")  # one 8-bit level
    plain = Preprocessing(None, (SIDE, SIDE), (0.0,) * channels, (1.0,) * channels, fit=fit)
    model = Model(net(channels), transform=plain, class_names=["ant", "bee", "cat"])
    wanted = torch.from_numpy(values / 65535).float().expand(channels, -1, -1)
    for source in (tmp_path, [Image.open(tmp_path / "deep.png")], [values]):
        torch.testing.assert_close(load_images(source, model).read(0), wanted, rtol=0, atol=1e-6)


def test_default_preprocessing_refuses_values_above_white():
    beyond = Image.fromarray(np.full((SIDE, SIDE), 200, np.float32))
    with pytest.raises(UnreadableImage, match="range from 200 to 200"):
        load_images([beyond], model_of()).read(0)


class Items(Dataset):
    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def sources(picture, form, folder):
    """Kind of source → source of one picture."""
    data = saved(picture, form)
    (folder / f"a.{form.lower()}").write_bytes(data)
    yield "folder", folder
    yield "path", folder / f"a.{form.lower()}"
    yield "paths", [folder / f"a.{form.lower()}"]
    yield "Pillow, from memory", picture
    yield "Pillow, from a file", [Image.open(io.BytesIO(data))]
    yield "pair", [(picture, 1)]
    yield "data set", Subset(Items((picture, 0), (picture, 2)), [1])
    yield "dict", Items({"image": picture, "label": 1})
    yield "encoded", Items({"image": {"bytes": data, "path": None}, "label": 1})
    yield "pixel_values", Items({"pixel_values": picture})


@pytest.mark.parametrize("kind", PICTURES)
def test_a_grey_picture_gives_the_same_input_from_every_source(kind, tmp_path):
    model, expected = model_of(), torch.from_numpy(GREY / 255).float().expand(3, -1, -1)
    for way, source in sources(*PICTURES[kind], tmp_path):
        torch.testing.assert_close(
            load_images(source, model).read(0), expected, msg=lambda text, way=way: f"{way}: {text}"
        )


ARRAYS = {
    "HW": GREY,
    "HW, 16 bits": GREY.astype(np.uint16) * 257,
    "HW, 16 bits, as in FITS": (GREY.astype(np.uint16) * 257).astype(">u2"),
    "HW, float": GREY / 255,
    "HWC of one": GREY[..., None],
    "HWC": np.dstack([GREY] * 3),
    "HWC, 16 bits": np.dstack([GREY] * 3).astype(np.uint16) * 257,
    "HWC, float": (np.dstack([GREY] * 3) / 255).astype(np.float32),
    "HWC with alpha": np.dstack([GREY, GREY, GREY, GREY // 2]),
    "CHW": np.stack([GREY] * 3),
    "lists": np.dstack([GREY] * 3).tolist(),
    "tensor CHW": torch.from_numpy(np.stack([GREY] * 3)),
    "tensor HWC": torch.from_numpy(np.dstack([GREY] * 3)),
    "tensor HW": torch.from_numpy(GREY),
    "ready tensor": torch.from_numpy(np.stack([GREY] * 3) / 255).float(),
    "ready, half": torch.from_numpy(np.stack([GREY] * 3) / 255).half(),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array_gives_the_same_input_as_the_file(kind):
    model, expected = model_of(), torch.from_numpy(GREY / 255).float().expand(3, -1, -1)
    value = ARRAYS[kind]
    tolerance = 1e-3 if kind == "ready, half" else 1e-6
    listed = [[value], Items(value), Items((value, 1)), Items({"image": value, "label": 0})]
    whole = [] if isinstance(value, list) or value.ndim == 2 else [value[None]]
    for source in listed[1:] + whole if isinstance(value, list) else listed + whole:
        torch.testing.assert_close(
            load_images(source, model).read(0), expected, atol=tolerance, rtol=0
        )


def test_single_arrays_and_arrays_of_paths(tmp_path):
    model, expected = model_of(), torch.from_numpy(COLOUR / 255).float().permute(2, 0, 1)
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    paths = [str(tmp_path / "a.png")]
    for source in (COLOUR, expected, np.array(paths), np.array(paths, dtype=object)):
        images = load_images(source, model)
        torch.testing.assert_close(images.read(0), expected)
        assert len(images) == 1
    assert load_images(GREY, model).read(0).shape == expected.shape


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (np.zeros((9, 8, 8), np.uint8), r"images\[:, None\]"),
        (DataLoader([1]), "Give its data set: loader.dataset"),
        ((COLOUR for _ in range(2)), r"Give a list of its items: list\(source\)"),
    ],
)
def test_unsupported_sources_are_refused_with_a_suggestion(source, told):
    with pytest.raises(ImagesError, match=told):
        load_images(source, model_of())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_inputs_of_one_to_four_channels_do_not_depend_on_the_source(channels, tmp_path):
    model = model_of(channels)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    picture = Image.fromarray(COLOUR)
    values = np.asarray(picture.convert(mode)).reshape(SIDE, SIDE, channels)
    expected = torch.from_numpy(values / 255).float().permute(2, 0, 1)
    picture.save(tmp_path / "a.png")
    for source in (tmp_path, picture, [COLOUR], COLOUR[None], torch.from_numpy(COLOUR)[None]):
        torch.testing.assert_close(load_images(source, model).read(0), expected)
    with_its_channels = [values] if channels > 1 else [values[..., 0]]
    torch.testing.assert_close(load_images(with_its_channels, model).read(0), expected)
    torch.testing.assert_close(load_images(expected[None], model).read(0), expected)


def test_networks_with_many_channels_need_arrays():
    bands = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 13), dtype=np.uint8)
    expected = torch.from_numpy(bands / 255).float().permute(2, 0, 1)
    resizing = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Resize((SIDE, SIDE))])
    for model in (model_of(13), Model(net(13), transform=resizing)):
        assert model.input_size[0] == 13
        for source in ([bands], bands[None], np.moveaxis(bands, 2, 0)[None], expected[None]):
            torch.testing.assert_close(load_images(source, model).read(0), expected)
        deep = load_images([bands.astype(np.uint16) * 257], model).read(0)
        torch.testing.assert_close(deep, expected)
        with pytest.raises(UnreadableImage, match="takes 13 channels"):
            load_images([Image.fromarray(COLOUR)], model).read(0)


def scaled(*steps):
    return v2.Compose([*steps, v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])


@pytest.mark.parametrize(
    ("channels", "transform", "mode"),
    [
        (3, scaled(), "RGB"),
        (1, scaled(), "L"),
        (4, scaled(), "RGBA"),
        (1, scaled(v2.Grayscale()), "RGB"),
        (1, lambda p: torch.from_numpy(np.asarray(p).astype(np.float32) / 65535)[None], "I;16"),
        (3, lambda p: torch.zeros(3, 8, 8), "RGB"),
    ],
)
def test_transforms_get_the_picture_mode_they_need(channels, transform, mode):
    assert Model(net(channels), transform=transform).input_form.mode == mode


def test_the_picture_mode_can_be_set():
    seen = []

    def look(picture):
        seen.append((picture.mode, picture.getpixel((0, 0))))
        return torch.from_numpy(np.asarray(picture).astype(np.float32) / 65535)[None]

    model = Model(net(1), transform=look, picture_mode="I;16")
    deep = Image.fromarray(np.full((8, 8), 40_001, np.uint16))
    with pytest.raises(
        UnreadableImage, match="must resize all pictures"
    ):  # the probe is 300 wide, and nothing resizes
        load_images([deep], model).read(0)
    assert seen[-1] == ("I;16", 40_001)


def test_exif_orientation_is_applied_for_all_sources(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.fromarray(np.tile(GREY[0], (SIDE, 1)))
    data = saved(lying, "PNG", exif=exif)
    (tmp_path / "a.png").write_bytes(data)
    upright = load_images([np.rot90(np.asarray(lying), -1)], model_of()).read(0)
    opened = Image.open(io.BytesIO(data))
    for source in (tmp_path, opened, [(opened, 1)], Items({"image": {"bytes": data}})):
        torch.testing.assert_close(load_images(source, model_of()).read(0), upright)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.zeros((8, 8, 3), np.int64), "have no defined white"),
        (torch.zeros(3, 8, 8, dtype=torch.int32), "have no defined white"),
        (np.full((8, 8, 3), 200.0), "from 200 to 200"),
        (np.zeros((8, 9, 7), np.uint8), "neither the first nor the last axis"),
        (np.zeros((0, 8, 3), np.uint8), "shape"),
        (np.zeros(7, np.uint8), "two or three axes"),
        ({"text": "x"}, "a dict with text"),
        ("nowhere.png", "No such file"),
        (b"%!PS", "not a picture"),
        (3, "neither a picture nor a tensor: int"),
        (("a", torch.zeros(3, 8, 8), 1), "an item is a picture or"),
        ([[1, 2], [3]], "rows differ in length"),
    ],
)
def test_other_objects_are_unreadable_with_the_reason(value, told):
    images = load_images(Items((value, 0) if isinstance(value, list) else value), model_of())
    with pytest.raises(UnreadableImage, match=told):
        images.read(0)


def test_a_dict_of_splits_is_refused():
    with pytest.raises(ImagesError, match="a dict with train, test"):
        load_images({"train": [1], "test": [2]}, model_of())
