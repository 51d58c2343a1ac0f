"""Presets, and stored configurations without fields that were added later."""

import json

import pytest

from neurflow.circuit import Circuit
from neurflow.config import PRESETS, Config
from neurflow.errors import RequestError


def test_published_has_the_settings_of_the_paper():
    found = Config.published()
    assert (found.tau, found.k, found.steps) == (16, 50, 50)
    assert found.granularities == (1.0, 0.5, 0.25)
    assert found.crops_per_image is None
    assert (found.selection, found.sharing, found.aggregation) == ("published", "published", "sum")
    assert (found.meanings, found.max_semantic_groups) == ("gaussian", 5)
    assert found.silhouette_slack == 0


@pytest.mark.parametrize("name", PRESETS)
def test_values_override_a_preset(name):
    assert Config.preset(name, tau=5) == Config(**{**PRESETS[name], "tau": 5})
    assert Config.preset(name).model_dump().items() >= PRESETS[name].items()


def test_the_error_for_an_unknown_preset_lists_presets():
    with pytest.raises(RequestError, match=r"no preset 'fast'\. Known: default, published, quick"):
        Config.preset("fast")


def test_older_configurations_get_the_former_rule_of_meanings(circuit):
    data = json.loads(circuit.model_dump_json())
    assert Circuit.model_validate(data).config == circuit.config
    assert circuit.config.meanings == "reproducible"
    del data["config"]["meanings"]
    assert Circuit.model_validate(data).config.meanings == "gaussian"
