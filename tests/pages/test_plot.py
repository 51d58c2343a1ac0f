"""Plots show known values and leave out unknown ones."""

from matplotlib.figure import Figure

from neurflow.debugging.result import Change, Effect, Prediction, WhatIf
from neurflow.pages.plot import _what_if
from neurflow.refs import Target

NAMES = ("ant", "bee", "fly", "wasp", "moth", "gnat", "tick", "flea")


def answers(*logits: tuple[int, float]) -> tuple[Prediction, ...]:
    return tuple(
        Prediction(index=c, name=NAMES[c], logit=logit, probability=0.1) for c, logit in logits
    )


def drawn(effect: Effect) -> dict[str, dict[str, float]]:
    """Class → bars by their name in the legend."""
    found = WhatIf(
        change=Change(groups=("l/0",), neurons={"l": (0,)}, keep=False, ablation="zero"),
        effects=(effect,), crops=(), overall=None, draws=0, matched=None, seed=0,
    )  # fmt: skip
    panel = Figure().subplots()
    _what_if(panel, found, Target(layer="head", neuron=0, name="ant"))
    names = {
        round(at): text.get_text()
        for at, text in zip(panel.get_yticks(), panel.get_yticklabels(), strict=True)
    }
    bars: dict[str, dict[str, float]] = {name: {} for name in names.values()}
    for kind in panel.containers:
        for bar in kind:
            bars[names[round(bar.get_y() + 0.18)]][kind.get_label()] = bar.get_width()
    return bars


def test_a_target_that_leaves_the_top_classes_is_still_drawn():
    before = answers((0, 9.0), (1, 5.0), (2, 4.0), (3, 3.0), (4, 1.0), (5, 0.5))
    after = answers((5, 8.0), (4, 7.0), (3, 6.0), (2, 5.0), (1, 4.0), (0, -7.5))
    effect = Effect(name="x", before=before, after=after, target_before=9.0, target_after=-7.5)
    bars = drawn(effect)
    assert list(bars) == ["ant", "bee", "fly", "gnat", "moth", "wasp"]
    assert bars["ant"] == {"before": 9.0, "after": -7.5}
    assert bars["gnat"] == {"before": 0.5, "after": 8.0}


def test_missing_logits_have_no_bar():
    before, after = answers((0, 9.0), (1, 5.0)), answers((1, 4.0), (2, 3.0))
    effect = Effect(name="x", before=before, after=after, target_before=9.0, target_after=-7.5)
    bars = drawn(effect)
    assert bars == {
        "ant": {"before": 9.0},
        "bee": {"before": 5.0, "after": 4.0},
        "fly": {"after": 3.0},
    }
