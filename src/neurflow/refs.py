"""Small types that all other modules use: pictures, crops, targets, models and ids of groups.

This module does not import other modules of the package, so that every module can import it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import CoreSchema, core_schema

Index = Annotated[int, Field(ge=0)]


class Crop(NamedTuple):
    """A square window of an image, before it is resized to the model's input size."""

    image: Index
    """position in ``Circuit.images``"""
    box: tuple[Index, Index, Index, Index]
    """left, top, right, bottom in pixels of the image as the model sees it (after its transform)"""


class Frozen(BaseModel):
    """Base of the stored types: immutable, with no unknown fields and no infinite numbers."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        serialize_by_alias=True,  # a renamed field keeps its stored name
    )


class GroupId(str):
    """The id of a neuron group: its layer and its number in the layer, printed as ``LAYER/NUMBER``.

    It is a string, and is stored, compared and looked up as one::

        id = GroupId("layer4.1", 3)
        id == "layer4.1/3"          # True
        id.layer, id.number         # ("layer4.1", 3)
    """

    layer: str
    number: int

    def __new__(cls, layer: str, number: int) -> GroupId:
        """Return the id of group ``number`` of ``layer``."""
        id = super().__new__(cls, f"{layer}/{number}")
        id.layer, id.number = layer, number
        return id

    def __getnewargs__(self) -> tuple[str, int]:  # type: ignore[override]
        return self.layer, self.number

    @classmethod
    def parse(cls, text: str) -> GroupId:
        """Parse ``LAYER/NUMBER``; ``ValueError`` for other text."""
        found = re.fullmatch(r"(.*)/(0|[1-9][0-9]{0,8})", text, re.DOTALL)
        if found is None:
            raise ValueError(f"{text!r:.80} is not a group; groups are named LAYER/NUMBER")
        return cls(found[1], int(found[2]))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        text = core_schema.str_schema(max_length=300)
        return core_schema.no_info_after_validator_function(cls.parse, text)


class ImageRef(Frozen):
    """An image of the concept set, known by name and not by position."""

    name: str
    """path relative to the folder studied, or a generated name for images from memory"""
    label: str | None = None
    """true class, if the source has it"""


class SkippedImage(Frozen):
    """An image that could not be used, with the reason."""

    name: str
    reason: str


class LoadOptions(Frozen):
    """Options of ``load_model`` that a model was loaded with: plain data, no path and no code."""

    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    resize: Index | None = None
    input_size: Index | tuple[Index, Index] | None = None
    output: Annotated[str, Field(pattern="^[a-z-]{1,40}$")] | None = None
    """kind of the outputs, such as ``logits``"""
    allow_chance: bool | None = None
    classes_as_text: bool | None = None

    def given(self) -> dict[str, Any]:
        """Return the options that were given, as keyword arguments."""
        return self.model_dump(exclude_none=True)


class ModelInfo(Frozen):
    """Description of a model, from which it can be loaded again and told from another model."""

    reference: str
    """the reference given to ``load_model``, or the class name of a module passed in Python"""
    weights: str | None = None
    """origin of the weights: a path, a torchvision name, or None"""
    digest: str
    """SHA-256 of parameters and buffers"""
    input_size: tuple[Index, Index, Index]
    """channels, height, width"""
    options: LoadOptions = LoadOptions()
    answers: tuple[float, ...] = ()
    """first outputs for a fixed random picture; empty if not known"""


class Target(Frozen):
    """The target of a circuit: a class, a neuron, or the difference of two classes."""

    layer: str
    neuron: Index
    minus: Index | None = None
    """the class subtracted, for a difference"""
    name: str


class HeatMap(NamedTuple):
    """A coarse heat map of a group on a picture: rows of bytes, where 255 is the maximum."""

    height: int
    width: int
    values: bytes


class Member(NamedTuple):
    """A (neuron, semantic group) pair of the group's layer."""

    neuron: Index
    semantic_group: Index
    """position in ``Neuron.semantic_groups``"""
