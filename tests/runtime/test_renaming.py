"""Former names keep working, in Python and in files."""

from __future__ import annotations

import pytest

from neurflow.debugging.result import Change
from neurflow.runtime.renaming import former_keywords


@former_keywords(by="ablation")
def masked(ablation="zero"):
    return ablation


def test_former_keywords_are_accepted():
    with pytest.warns(DeprecationWarning, match="'by' is now called 'ablation'"):
        assert masked(by="mean") == "mean"
    assert masked(ablation="mean") == "mean"


@pytest.mark.parametrize("name", ["ablation", "by"])
def test_a_renamed_field_keeps_its_stored_name(name):
    change = Change(**{"groups": ("l/0",), "neurons": {}, "keep": False, name: "mean"})
    assert change.ablation == "mean" and change.model_dump()["by"] == "mean"
    assert Change.model_validate_json(change.model_dump_json()) == change
    with pytest.warns(DeprecationWarning, match="'by' is now called 'ablation'"):
        assert change.by == "mean"
