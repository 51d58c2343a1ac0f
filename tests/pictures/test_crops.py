"""Crops: the published windows as (image, box), and their pixels."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.functional import resized_crop

from neurflow.pictures.crops import crop_boxes, crop_pixels
from tests.reference import method

PUBLISHED = (1.0, 0.5, 0.25)
sides = st.integers(1, 90)
shares = st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4)


@pytest.mark.parametrize("side", [32, 96, 224, 299])
def test_a_square_image_has_the_published_59_crops(side):
    boxes = crop_boxes(side, side, PUBLISHED)
    sizes = [right - left for left, _, right, _ in boxes]
    assert [sizes.count(int(g * side)) for g in PUBLISHED] == [1, 9, 49]


@given(sides, sides, shares)
def test_windows_equal_the_plain_definition(height, width, granularities):
    assert crop_boxes(height, width, granularities) == method.crop_boxes(
        height, width, granularities
    )


@given(sides, sides, shares)
def test_windows_are_square_distinct_and_inside_the_image(height, width, granularities):
    boxes = crop_boxes(height, width, granularities)
    for left, top, right, bottom in boxes:
        assert right - left == bottom - top >= 1
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
    assert len(boxes) >= len(granularities)


def test_windows_of_a_wide_image_cover_its_length():
    boxes = crop_boxes(4, 8, [1.0])
    assert boxes == [(0, 0, 4, 4), (2, 0, 6, 4), (4, 0, 8, 4)]


def test_pixels_are_resized_bilinearly():
    image = torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(0))
    boxes = crop_boxes(40, 56, PUBLISHED)
    pixels = crop_pixels(image, boxes, (40, 56))
    assert pixels.shape == (len(boxes), 3, 40, 56)
    for (left, top, right, bottom), window in zip(boxes, pixels, strict=True):
        expected = resized_crop(
            image, top, left, bottom - top, right - left, [40, 56], antialias=False
        )
        torch.testing.assert_close(window, expected)


def test_cropping_commutes_with_normalisation():
    image = torch.rand(3, 16, 16)
    mean, std = (
        torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1),
        torch.tensor([0.2, 1.0, 3.0]).view(3, 1, 1),
    )
    boxes = crop_boxes(16, 16, PUBLISHED)
    after = (crop_pixels(image, boxes, (16, 16)) - mean) / std
    torch.testing.assert_close(crop_pixels((image - mean) / std, boxes, (16, 16)), after)
