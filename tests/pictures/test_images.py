"""Sources of images: all kinds, unusual files, and unreadable files."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from neurflow import Model, load_images
from neurflow.errors import ImagesError
from neurflow.model import Preprocessing
from neurflow.pictures.images import UnreadableImage
from tests.networks import SmallNet


@pytest.fixture
def model():
    transform = Preprocessing(resize=None, crop=(32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
    return Model(SmallNet(), transform=transform, class_names=["ant", "bee", "cat", "dog"])


def picture(colour, size=(32, 32), mode="RGB"):
    return Image.new(mode, size, colour)


def test_folders_are_read_in_order_of_name(tmp_path, model):
    for name, level in (("b.png", 200), ("a.jpg", 100), ("notes.txt", None), (".hidden.png", 9)):
        if level is None:
            (tmp_path / name).write_text("not a picture")
        else:
            picture((level,) * 3).save(tmp_path / name)
    images = load_images(tmp_path, model)
    assert [ref.name for ref in images.refs] == ["a.jpg", "b.png"]
    assert images.read(1).mean() == pytest.approx(200 / 255, abs=1e-3)


def test_folders_of_classes_are_labels(tmp_path, model):
    for label in ("cat", "bee"):
        (tmp_path / label).mkdir()
        picture("red").save(tmp_path / label / "x.png")
    images = load_images(tmp_path, model)
    assert [(ref.name, ref.label) for ref in images.refs] == [
        ("bee/x.png", "bee"),
        ("cat/x.png", "cat"),
    ]


@pytest.mark.parametrize(
    ("mode", "colour"),
    [
        ("L", 128),
        ("LA", (128, 9)),
        ("RGBA", (128,) * 3 + (9,)),
        ("1", 1),
        ("P", 3),
        ("I;16", 128 * 257),
    ],
)
def test_grey_alpha_palette_and_16_bit_files_work(tmp_path, model, mode, colour):
    Image.new(mode, (40, 64), colour).save(tmp_path / "odd.png")
    pixels = load_images(tmp_path, model).read(0)
    assert pixels.shape == (3, 32, 32)
    if mode not in ("1", "P"):
        assert pixels.mean() == pytest.approx(128 / 255, abs=0.01)


def test_exif_orientation_is_applied(tmp_path, model):
    wide = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (32, 1)))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    wide.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    pixels = load_images(tmp_path, model).read(0)
    assert (
        pixels[0, -1].mean() - pixels[0, 0].mean() > 0.5
    )  # bright at the bottom, not on the right


def test_errors_for_damaged_and_truncated_pictures(tmp_path, model):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    images = load_images(tmp_path, model)
    reasons = {}
    for index, ref in enumerate(images.refs):
        try:
            images.read(index)
        except UnreadableImage as error:
            reasons[ref.name] = str(error)
    assert reasons.keys() == {"cut.jpg", "empty.jpg", "text.png"}
    assert "truncated" in reasons["cut.jpg"]
    assert reasons["text.png"] == "not a picture, or damaged"


def test_datasets_tensors_and_lists_are_sources(model):
    pixels = torch.rand(5, 3, 32, 32)
    for source in (pixels, TensorDataset(pixels, torch.tensor([0, 1, 2, 3, 1]))):
        images = load_images(source, model)
        assert len(images) == 5
        torch.testing.assert_close(images.read(3), pixels[3])
    assert [ref.label for ref in images.refs] == ["ant", "bee", "cat", "dog", "bee"]
    bytes_ = (pixels * 255).round().byte()
    torch.testing.assert_close(load_images(bytes_, model).read(2), bytes_[2] / 255)
    listed = load_images([picture("white", (50, 32)), picture("black")], model)
    assert listed.read(0).min() == 1.0
    assert [ref.name for ref in listed.refs] == ["image-0", "image-1"]


def test_items_that_a_dataset_fails_to_return_are_unreadable(model):
    class Holed(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index == 1:
                raise OSError("image file is truncated")
            return picture("white"), index

    images = load_images(Holed(), model)
    assert [ref.label for ref in images.refs] == ["ant", None, "cat"]
    assert images.read(2).min() == 1.0
    with pytest.raises(UnreadableImage, match="image file is truncated"):
        images.read(1)


def test_the_digest_depends_on_the_collection(tmp_path, model):
    picture("red").save(tmp_path / "a.png")
    first = load_images(tmp_path, model).digest
    assert load_images(tmp_path, model).digest == first
    picture("blue", (32, 31)).save(tmp_path / "b.png")
    assert load_images(tmp_path, model).digest != first
    pixels = torch.rand(2, 3, 32, 32)
    assert load_images(pixels, model).digest == load_images(pixels.clone(), model).digest
    assert load_images(pixels, model).digest != load_images(pixels + 1, model).digest


def test_empty_and_missing_sources_are_refused(tmp_path, model):
    with pytest.raises(ImagesError, match=r"No pictures in .* Looked for files ending in"):
        load_images(tmp_path, model)
    with pytest.raises(ImagesError, match="There is no image or folder of images at"):
        load_images(tmp_path / "nowhere", model)
    with pytest.raises(ImagesError, match="the source is empty"):
        load_images([], model)
    with pytest.raises(ImagesError, match="axes"):
        load_images(torch.rand(9), model)
    with pytest.raises(ImagesError, match="Cannot read images from int"):
        load_images(3, model)


def test_tensors_of_another_shape_or_with_nan_are_unreadable(model):
    with pytest.raises(
        UnreadableImage, match=r"shape is \(3, 16, 16\), but the model takes \(3, 32, 32\)"
    ):
        load_images(torch.rand(1, 3, 16, 16), model).read(0)
    with pytest.raises(UnreadableImage, match="not finite"):
        load_images(torch.full((1, 3, 32, 32), float("nan")), model).read(0)


@pytest.mark.parametrize("channels", [1, 4])
def test_models_with_one_or_four_channels_accept_any_picture(channels):
    transform = Preprocessing(
        resize=None, crop=(32, 32), mean=(0.0,) * channels, std=(1.0,) * channels
    )
    module = SmallNet()
    module.block1[0] = torch.nn.Conv2d(channels, 8, 3, 2, 1)
    model = Model(module, transform=transform)
    assert model.input_size == (channels, 32, 32)
    tensors = torch.rand(2, channels, 32, 32)
    torch.testing.assert_close(load_images(tensors, model).read(1), tensors[1])
    if channels == 1:
        assert load_images([picture("white")], model).read(0).min() == 1.0
    else:
        made = load_images(
            [picture((10, 20, 30, 40), mode="RGBA")],
            Model(module, transform=lambda p: torch.zeros(4, 32, 32)),
        )
        assert made.read(0).shape == (4, 32, 32)
