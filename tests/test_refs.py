"""Ids of groups are strings with a layer and a number."""

import pickle
from copy import deepcopy

import pytest
from pydantic import TypeAdapter

from neurflow.refs import GroupId


def test_a_group_id_is_a_string_with_parts():
    id = GroupId("blocks/0", 12)
    assert id == "blocks/0/12"
    assert (id.layer, id.number) == ("blocks/0", 12)
    for copy in (GroupId.parse("blocks/0/12"), deepcopy(id), pickle.loads(pickle.dumps(id))):
        assert copy == id
        assert (copy.layer, copy.number) == ("blocks/0", 12)


@pytest.mark.parametrize("text", ["", "late", "late/", "late/01", "late/-1", "late/²", "late/1\n"])
def test_invalid_group_ids(text):
    with pytest.raises(ValueError, match="LAYER/NUMBER"):
        TypeAdapter(GroupId).validate_python(text)


def test_a_group_id_is_stored_as_its_text():
    stored = TypeAdapter(GroupId)
    assert stored.dump_json(GroupId("late", 1)) == b'"late/1"'
    assert stored.validate_json('"late/1"').layer == "late"
