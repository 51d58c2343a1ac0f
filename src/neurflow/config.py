"""Every hyperparameter of the method, once, with the paper's symbol.

What only changes speed or memory (device, batch size, workers) is not here: two runs with equal
``Config``, model, target and images give the same circuit.

``Config()`` holds the best values that were measured. ``Config.published()`` is the paper to the
letter, ``Config.quick()`` a first look; :data:`PRESETS` says what each of them changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import Field, StringConstraints, ValidationError, field_validator

from neurflow.errors import RequestError
from neurflow.refs import Frozen

Fraction = Annotated[float, Gt(0), Le(1)]
Positive = Annotated[int, Ge(1)]

METHOD_VERSION = 4
"""of the method's results. Raise it when the same request gives another circuit than before: runs and
sweeps of an earlier version are then refused instead of being resumed or taken for new ones."""

Preset = Literal["default", "published", "quick"]
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "default": {},
    "published": {
        "tau": 16,
        "k": 50,
        "steps": 50,
        "selection": "published",
        "granularities": (1.0, 0.5, 0.25),
        "crops_per_image": None,
        "concept_set": "predicted",
        "max_semantic_groups": 5,
        "meanings": "gaussian",
        "grouping": "silhouette",
        "silhouette_slack": 0.0,
        "sharing": "published",
        "aggregation": "sum",
    },
    "quick": {"tau": 8, "depth": 3},
}
"""preset → the fields that it sets; all others have their defaults"""
QUICK_IMAGES = 20
"""images that a quick look studies at most, unless told otherwise"""
EARLIER: Mapping[str, Any] = {"meanings": "gaussian", "grouping": "silhouette"}
"""what a stored configuration was made with where it lacks a field that was added since"""


class Config(Frozen):
    """Hyperparameters of one discovery; frozen. A value out of range raises ``RequestError``."""

    tau: Positive = Field(16, description="τ: core concept neurons kept for each neuron")
    k: Positive = Field(50, description="k: crops that make a neuron's concept V_a")
    steps: Positive | Literal["auto"] = Field(
        "auto",
        description="N: points of the integrated-gradients path; auto takes as many as each neuron "
        "needs to come within the tolerance; published: 50",
    )
    selection: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,63}$")] = Field(
        "published",
        description="core neurons by mean absolute score (published), mean score (signed), contrast, "
        "steps (stepwise), or a rule of yours",
    )
    tolerance: Fraction = Field(0.01, description="error of the scores that auto steps aim at")
    granularities: tuple[Fraction, ...] = Field(
        (1.0, 0.5, 0.25), min_length=1, description="crop sizes, as shares of the image side"
    )
    depth: Positive | None = Field(
        None,
        description="layers below the target's that are studied where none are named; all by default",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of the pass that finds the top crops; attribution is exact either way",
    )
    crops_per_image: Positive | Literal["auto"] | None = Field(
        "auto",
        description="most crops of one image in a top-k; auto: 3, more if images are few; none: any",
    )
    concept_set: Literal["predicted", "labelled", "all"] = Field(
        "predicted",
        description="D: images the model predicts as the target, that are labelled so, or all",
    )
    max_semantic_groups: Positive = Field(5, description="largest number of meanings of a neuron")
    meanings: Literal["reproducible", "gaussian", "silhouette"] = Field(
        "reproducible",
        description="several meanings if a division recurs on other images, beats chance, or always",
    )
    meaning_splits: Positive = Field(
        20, description="splits of a neuron's images into halves that tell which meanings come back"
    )
    least_strength: Fraction = Field(
        0.5, description="least prediction strength of a meaning on other images; 0 is chance"
    )
    least_gap: Fraction = Field(
        0.32, description="least gap between two meanings: dip of their crops times √images"
    )
    common: Annotated[float, Ge(0), Le(1)] = Field(
        0.5,
        description="share of what all crops, or all pairs, have in common that is taken off before "
        "they are compared",
    )
    grouping: Literal["reproducible", "silhouette"] = Field(
        "reproducible",
        description="neuron groups by what fires together, cut where they come back on halves of "
        "the images, or by concept vectors (published)",
    )
    groups: Positive | Literal["auto"] = Field(
        "auto", description="neuron groups of a layer; auto chooses by the rule of grouping"
    )
    max_groups: Positive = Field(
        12,
        description="largest number of neuron groups auto may choose; reproducible groups may be more "
        "where there are pairs_per_group pairs for each",
    )
    pairs_per_group: Positive = Field(
        5, description="(neuron, meaning) pairs for each group beyond max_groups"
    )
    group_splits: Positive = Field(
        10, description="splits of the images into halves that tell which groups come back"
    )
    least_agreement: Fraction = Field(
        0.1,
        description="kappa of two halves below which a layer counts as one group; noise has 0.05",
    )
    sure_agreement: Fraction = Field(
        0.8, description="kappa from which more groups than a third of the pairs may be chosen"
    )
    silhouette_slack: Annotated[float, Ge(0), Le(1)] = Field(
        0.05,
        description="auto takes the most groups whose silhouette is so near the best; published: 0",
    )
    sharing: Literal["conserving", "published"] = Field(
        "conserving",
        description="weight of a lower neuron: split among its meanings, or whole to each group",
    )
    aggregation: Literal["mean", "sum"] = Field(
        "mean", description="W(G, H): mean over the pairs of G, a share, or their sum (published)"
    )
    seed: int = Field(0, ge=0, description="seed of everything random")

    @field_validator("crops_per_image", mode="before")
    @classmethod
    def _no_limit(cls, value: object) -> object:
        """The command line says ``none``."""
        return None if value == "none" else value

    @classmethod
    def published(cls, **values: object) -> Self:
        """The paper's set-up: for every comparison with published results. ``values`` override it."""
        return cls.preset("published", **values)

    @classmethod
    def quick(cls, **values: object) -> Self:
        """A first look: fewer core neurons and layers. ``values`` override it.

        Its neurons are among those that ``Config()`` finds on the same images, since a target's core
        neurons are the first of the same order. On the command line it also means fewer images
        (:data:`QUICK_IMAGES`).
        """
        return cls.preset("quick", **values)

    @classmethod
    def preset(cls, name: Preset, **values: object) -> Self:
        """The configuration of a preset; ``values`` override it.

        Raises:
            RequestError: there is no such preset, or a value is out of range.
        """
        if name not in PRESETS:
            raise RequestError(f"There is no preset {name!r}. Known: {', '.join(PRESETS)}.")
        return cls(**{**PRESETS[name], **values})

    @classmethod
    def stored(cls, value: object) -> object:
        """A stored configuration, completed by what was the rule before a field was added."""
        return {**EARLIER, **value} if isinstance(value, dict) else value

    def __init__(self, **values: object) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'config'}={e['input']!r}: {e['msg']}"
                for e in error.errors()
            )
            raise RequestError(f"Not a valid Config: {problems}.") from None
