"""The decoder: files that it opens or refuses, and picture modes."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, PngImagePlugin

from neurflow.errors import UnreadableImage
from neurflow.model.picture_modes import in_mode
from neurflow.pictures.decoding import formats, open_picture, suffixes

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


def file_of(picture, form="PNG", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def claiming(width, height, bits=16):
    """A PNG file whose header claims a size, without pixel data."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header))
    nothing = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + check + nothing


def tiff(tags, data):
    """A TIFF file with one strip; tag → number, or None for the offset of the strip."""
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, start if value is None else value)
        for tag, value in sorted(tags.items())
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries
    return head + struct.pack("<I", 0) + data


def twelve_bit_tiff(values):
    """An uncompressed TIFF with 12 bits per sample and an even number of columns."""
    height, width = values.shape
    pairs = values.reshape(-1, 2).astype(int)
    packed = np.stack(
        [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1
    )
    data = packed.astype(np.uint8).tobytes()
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: None, 277: 1, 278: height}
    return tiff({**tags, 279: len(data)}, data)


def test_postscript_with_a_picture_extension_starts_no_program(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: started.append(a))
    (tmp_path / "a.jpg").write_bytes(POSTSCRIPT)
    for source in (tmp_path / "a.jpg", POSTSCRIPT):
        with pytest.raises(UnreadableImage, match="not a picture, or damaged"):
            open_picture(source)
    assert not started
    assert not {"EPS", "WMF", "IPTC", "PDF", "MPEG", "HDF5", "GRIB", "BUFR"} & set(formats())
    assert not {".eps", ".ps", ".wmf", ".emf", ".pdf", ".h5"} & suffixes()
    assert {".jfif", ".jp2", ".tga", ".tif", ".webp", ".bmp"} <= suffixes()


@pytest.mark.parametrize(
    "error", [KeyError("x"), MemoryError(), struct.error("s"), RecursionError()]
)
def test_errors_of_decoders_become_unreadable_pictures(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(UnreadableImage):
        open_picture(file_of(Image.new("L", (4, 4))))


@pytest.mark.parametrize("size", [(13_000, 13_000), (2**31 - 1, 1), (200_000, 200_000)])
def test_pictures_that_need_too_much_memory_are_refused_by_their_header(size):
    with pytest.raises(UnreadableImage, match=r"too large: .* pixels take more than 1024 MiB"):
        open_picture(claiming(*size))


def test_the_limit_applies_to_pictures_in_icons():
    inner = claiming(9_500, 9_500, bits=8)
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22)
    with pytest.raises(UnreadableImage, match="too large"):
        open_picture(struct.pack("<HHH", 0, 1, 1) + entry + inner)


def test_the_limit_applies_to_tiles():
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 30_000, 323: 30_000}
    data = tiff({**tags, 324: None, 325: 9}, zlib.compress(b""))
    with pytest.raises(UnreadableImage, match="too large: 30000 × 30000 pixels"):
        open_picture(data)


def test_the_first_page_and_the_first_frame_are_read():
    pages = [Image.new("L", (4, 4), level) for level in (10, 200)]
    for form in ("TIFF", "GIF"):
        data = file_of(pages[0], form, save_all=True, append_images=pages[1:])
        assert in_mode(open_picture(data), "L").getpixel((0, 0)) == 10


def test_12_bit_values_are_scaled_by_4095():
    values = np.array([[0, 2048], [1024, 4095]])
    picture = open_picture(twelve_bit_tiff(values))
    np.testing.assert_array_equal(np.asarray(in_mode(picture, "L")), values >> 4)
    np.testing.assert_allclose(np.asarray(in_mode(picture, "F")), values / 4095, atol=1e-5)


def test_depth_is_kept_in_deep_picture_modes():
    levels = np.array([[0, 300, 40_000, 65_535]], np.uint16)
    deep = open_picture(file_of(Image.fromarray(levels)))
    np.testing.assert_array_equal(np.asarray(in_mode(deep, "I;16")), levels)
    np.testing.assert_array_equal(np.asarray(in_mode(deep, "I")), levels)
    np.testing.assert_allclose(np.asarray(in_mode(deep, "F")), levels / 65535, rtol=1e-6)
    plain = Image.fromarray(np.array([[0, 7, 255]], np.uint8))
    np.testing.assert_array_equal(np.asarray(in_mode(plain, "I;16")), [[0, 7 * 257, 65535]])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.array([[0.0, 200.0]], np.float32), "from 0 to 200"),
        (np.array([[0.0, np.nan]], np.float32), "not finite"),
        (np.array([[-5, 7]], np.int32), "from -5 to 7"),
        (np.array([[0, 200]], np.int32), "seem to have 8 bits"),
    ],
)
def test_values_outside_the_range_are_refused(values, told):
    with pytest.raises(UnreadableImage, match=told):
        in_mode(Image.fromarray(values), "RGB")
