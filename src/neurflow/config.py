"""All hyperparameters of the method, with the paper's symbols.

Settings that only affect speed or memory (device, batch size, workers) are not here: two runs with the
same ``Config``, model, target and images give the same circuit.

``Config()`` has the best values that were measured. ``Config.published()`` follows the paper exactly,
and ``Config.quick()`` is for a first look; :data:`PRESETS` lists what each of them changes.
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
"""version of the method. Raise it when the same request gives a different circuit than before, so that
runs and sweeps of an earlier version are refused instead of resumed or reused."""

BaselineName = Literal["auto", "zero", "mean"]
"""where the path of integrated gradients begins (``attribution.baselines``)"""

Preset = Literal["default", "published", "quick"]
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "default": {},
    "published": {
        "tau": 16,
        "k": 50,
        "steps": 50,
        "baseline": "zero",
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
"""default for the largest number of images in a quick look"""
EARLIER: Mapping[str, Any] = {"meanings": "gaussian", "grouping": "silhouette", "baseline": "zero"}
"""values of fields that configurations stored by earlier versions lack"""


class Config(Frozen):
    """Hyperparameters of one discovery; frozen. A value out of range raises ``RequestError``."""

    tau: Positive = Field(16, description="τ, number of core concept neurons of each neuron")
    k: Positive = Field(50, description="k, number of crops in a neuron's concept V_a")
    steps: Positive | Literal["auto"] = Field(
        "auto",
        description="N, number of points of integrated gradients; auto takes at least as many as "
        "each neuron needs for the tolerance; published: 50",
    )
    baseline: BaselineName = Field(
        "auto",
        description="where the path of attribution begins: zero (published), the layer's mean over D, "
        "or auto: mean in networks with layer norms or attention",
    )
    selection: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,63}$")] = Field(
        "published",
        description="core neurons by mean absolute score (published), mean score (signed), contrast, "
        "steps (stepwise), or your own rule",
    )
    tolerance: Fraction = Field(0.01, description="largest error of the scores with auto steps")
    granularities: tuple[Fraction, ...] = Field(
        (1.0, 0.5, 0.25), min_length=1, description="crop sizes, as shares of the image side"
    )
    depth: Positive | None = Field(
        None,
        description="number of layers below the target's, if no layers are given; all by default",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="precision of the pass that finds the top crops",
    )
    products: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="precision of the products of gradients and weights; bfloat16 can be faster "
        "on processors with instructions for it, and its rounding is part of the score error",
    )
    crops_per_image: Positive | Literal["auto"] | None = Field(
        "auto",
        description="largest number of crops of one image in a top-k; auto: 3, or more if there are "
        "few images; none: no limit",
    )
    concept_set: Literal["predicted", "labelled", "all"] = Field(
        "predicted",
        description="D, the images that are predicted as the target, that are labelled as it, or all",
    )
    max_semantic_groups: Positive = Field(5, description="largest number of meanings of a neuron")
    meanings: Literal["reproducible", "gaussian", "silhouette"] = Field(
        "reproducible",
        description="divide a neuron into several meanings if the division recurs on other images, if "
        "it beats chance, or always",
    )
    meaning_splits: Positive = Field(
        20, description="number of random halves of a neuron's images to test which meanings recur"
    )
    least_strength: Fraction = Field(
        0.5, description="least prediction strength of a meaning on other images; 0 is chance"
    )
    least_gap: Fraction = Field(
        0.32, description="least gap between two meanings: dip of their crops times √images"
    )
    common: Annotated[float, Ge(0), Le(1)] = Field(
        0.5,
        description="share of the common mean that is subtracted from crops and from pairs before they "
        "are compared",
    )
    grouping: Literal["reproducible", "silhouette"] = Field(
        "reproducible",
        description="neuron groups by co-activation, cut where they recur on halves of the images, or "
        "by concept vectors (published)",
    )
    groups: Positive | Literal["auto"] = Field(
        "auto",
        description="number of neuron groups of a layer; auto chooses by the rule of grouping",
    )
    max_groups: Positive = Field(
        12,
        description="largest number of neuron groups that auto chooses; there may be more reproducible "
        "groups if each has pairs_per_group pairs",
    )
    pairs_per_group: Positive = Field(
        8, description="(neuron, meaning) pairs required for each group beyond max_groups"
    )
    group_splits: Positive = Field(
        10, description="number of random halves of the images to test which groups recur"
    )
    least_agreement: Fraction = Field(
        0.1,
        description="kappa of two halves below which a layer is a single group; noise has 0.05",
    )
    sure_agreement: Fraction = Field(
        0.8, description="kappa from which more groups than two fifths of the pairs may be chosen"
    )
    silhouette_slack: Annotated[float, Ge(0), Le(1)] = Field(
        0.05,
        description="auto takes the largest number of groups whose silhouette is this close to the "
        "best; published: 0",
    )
    sharing: Literal["conserving", "published"] = Field(
        "conserving",
        description="divide the weight of a lower neuron among its meanings, or give all of it to each "
        "group",
    )
    aggregation: Literal["mean", "sum"] = Field(
        "mean",
        description="W(G, H) as mean over the pairs of G, which is a share, or sum (published)",
    )
    seed: int = Field(0, ge=0, description="seed of everything random")

    @field_validator("crops_per_image", mode="before")
    @classmethod
    def _no_limit(cls, value: object) -> object:
        """Accept the command line's ``none``."""
        return None if value == "none" else value

    @classmethod
    def published(cls, **values: object) -> Self:
        """Return the setup of the paper, to compare with published results. ``values`` override it."""
        return cls.preset("published", **values)

    @classmethod
    def quick(cls, **values: object) -> Self:
        """Return a setup for a first look: fewer core neurons and layers. ``values`` override it.

        Its neurons are among those that ``Config()`` finds on the same images, since a target's core
        neurons are the first of the same order. On the command line it also means fewer images
        (:data:`QUICK_IMAGES`).
        """
        return cls.preset("quick", **values)

    @classmethod
    def preset(cls, name: Preset, **values: object) -> Self:
        """Return the configuration of a preset; ``values`` override it.

        Raises:
            RequestError: there is no such preset, or a value is out of range.
        """
        if name not in PRESETS:
            raise RequestError(f"There is no preset {name!r}. Known: {', '.join(PRESETS)}.")
        return cls(**{**PRESETS[name], **values})

    @classmethod
    def stored(cls, value: object) -> object:
        """Return a stored configuration, completed with the values of ``EARLIER``."""
        return {**EARLIER, **value} if isinstance(value, dict) else value

    def __init__(self, **values: object) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'config'}={e['input']!r:.80}: {e['msg']}"
                for e in error.errors()
            )
            raise RequestError(f"Not a valid Config: {problems}.") from None
