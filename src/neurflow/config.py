"""Every hyperparameter of the method, once, with the paper's symbol.

What only changes speed or memory (device, batch size, workers) is not here: two runs with equal
``Config``, model, target and images give the same circuit.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurflow.errors import RequestError

Fraction = Annotated[float, Gt(0), Le(1)]
Positive = Annotated[int, Ge(1)]


class Config(BaseModel):
    """Hyperparameters of one discovery; frozen. A value out of range raises ``RequestError``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tau: Positive = Field(16, description="τ: core concept neurons kept for each neuron")
    k: Positive = Field(50, description="k: crops that make a neuron's concept V_a")
    steps: Positive | Literal["auto"] = Field(
        "auto",
        description="N: points of the integrated-gradients path; auto takes as many as each neuron "
        "needs to come within the tolerance; published: 50",
    )
    selection: Literal["published", "signed", "contrast", "stepwise"] = Field(
        "published",
        description="core neurons by mean absolute score (published), mean score, contrast, or steps",
    )
    tolerance: Fraction = Field(0.01, description="error of the scores that auto steps aim at")
    granularities: tuple[Fraction, ...] = Field(
        (1.0, 0.5, 0.25), min_length=1, description="crop sizes, as shares of the image side"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of the pass that finds the top crops; attribution is exact either way",
    )
    crops_per_image: Positive | None = Field(
        None, description="at most so many crops of one image in a top-k; None sets no limit"
    )
    concept_set: Literal["predicted", "labelled", "all"] = Field(
        "predicted",
        description="D: images the model predicts as the target, that are labelled so, or all",
    )
    max_semantic_groups: Positive = Field(5, description="largest number of meanings of a neuron")
    grouping: Literal["reproducible", "silhouette"] = Field(
        "reproducible",
        description="neuron groups by what fires together, as many as come back on halves of the "
        "images (reproducible), or by concept vectors and silhouette (published)",
    )
    groups: Positive | Literal["auto"] = Field(
        "auto", description="neuron groups of a layer; auto chooses by the rule of grouping"
    )
    max_groups: Positive = Field(
        12,
        description="largest number of neuron groups auto may choose; reproducible groups may be a "
        "fifth of the (neuron, meaning) pairs where that is more",
    )
    group_splits: Positive = Field(
        10, description="splits of the images into halves that tell which groups come back"
    )
    least_agreement: Fraction = Field(
        0.2,
        description="kappa of the two halves below which a layer counts as one group",
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

    def __init__(self, **values: object) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'config'}={e['input']!r}: {e['msg']}"
                for e in error.errors()
            )
            raise RequestError(f"Not a valid Config: {problems}.") from None
