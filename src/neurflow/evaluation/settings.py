"""The settings of all protocols, with the published values as defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field, ValidationError

from neurflow.errors import RequestError
from neurflow.refs import Frozen

Positive = Annotated[int, Ge(1)]
Several = Annotated[tuple[Positive, ...], Field(min_length=1)]
Ablation = Literal["zero", "mean", "resample"]
"""replacement of an ablated neuron: zero, its mean over D, or its values on another crop"""


class Settings(Frozen):
    """Settings of all protocols; frozen. A value out of range raises ``RequestError``."""

    neurons: Positive = Field(10, description="number of target neurons sampled in each layer")
    trial_images: Positive | None = Field(
        None,
        description="largest number of images on whose crops neurons are ablated; by default all",
    )
    layers: tuple[str, ...] | None = Field(
        None, description="layers of target neurons to measure; by default all but the lowest"
    )
    ablations: tuple[Ablation, ...] = Field(
        ("zero", "mean", "resample"), min_length=1, description="ways to ablate; published: zero"
    )
    random_sets: Positive = Field(100, description="random sets of neurons to compare with")
    matched_sets: Annotated[int, Ge(0)] = Field(
        20, description="random sets of similar mean activation, for each core set"
    )
    taus: Several = Field((10, 30, 50), description="τ of optimality")
    fidelity_taus: Several = Field((4, 8, 16), description="τ of fidelity and completeness")
    weight_sets: Positive = Field(500, description="random sets of each size, for weights")
    set_sizes: Several = Field((1, 5, 10, 20, 50), description="m, sizes of the random sets")
    single_neurons: Positive | None = Field(
        None, description="largest number of single neurons tried for m = 1; by default all"
    )
    methods: tuple[str, ...] = Field(
        (
            "integrated_gradients",
            "smoothgrad",
            "guided_backprop",
            "gradient_shap",
            "knockoff",
            "lrp",
            "input_x_gradient",
            "gradient",
        ),
        min_length=1,
        description="attribution methods to compare",
    )
    norm_top: Positive = Field(
        16, description="largest set in the comparison of IG with weight norm"
    )
    ks: Several = Field(
        (10, 30, 50, 70, 90, 110, 130, 150, 170, 190), description="values of k to try"
    )
    k_reference: Positive = Field(50, description="k that core neurons are compared with")
    steps: Several = Field((8, 16, 32, 50), description="values of N whose score error is measured")
    resamples: Positive = Field(10, description="bootstrap resamples of the images, for stability")
    splits: Annotated[int, Ge(0)] = Field(2, description="pairs of disjoint halves, for stability")
    eyes: str | None = Field(
        None,
        description="source of the embedding in which the purity of groups is measured: another "
        "network, such as timm:NAME, or a file with a row for each crop (.npy)",
    )
    permutations: Positive = Field(2000, description="permutations, for significance")
    sizes: tuple[Annotated[float, Gt(0), Le(1)], ...] = Field(
        (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
        min_length=2,
        description="shares of each layer's neurons to keep, for faithfulness",
    )
    subjects: Positive = Field(
        200, description="largest number of pictures on which accuracy is measured"
    )
    bootstrap: Positive = Field(2000, description="bootstrap resamples for each interval")
    seed: int = Field(0, ge=0, description="seed of everything random")

    def __init__(self, **values: object) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}={e['input']!r}: {e['msg']}" for e in error.errors()
            )
            raise RequestError(f"These settings are out of range: {problems}.") from None


QUICK = Settings(
    neurons=3,
    trial_images=3,
    random_sets=10,
    matched_sets=1,
    taus=(8,),
    fidelity_taus=(4, 16),
    weight_sets=20,
    set_sizes=(1, 5),
    single_neurons=20,
    methods=("integrated_gradients", "gradient", "input_x_gradient", "guided_backprop"),
    norm_top=8,
    ks=(10, 50, 90),
    steps=(8, 50),
    resamples=2,
    splits=0,
    permutations=500,
    sizes=(0.05, 0.2, 0.5, 1.0),
    subjects=20,
    bootstrap=500,
)
"""settings for rough values within minutes on a real network, or seconds on the demo"""
