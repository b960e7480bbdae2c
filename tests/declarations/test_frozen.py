"""Mappings that cannot change."""

from __future__ import annotations

import pickle

import pytest

from replica.declarations.frozen import FrozenMapping

# ---- frozen mappings ---------------------------------------------------------------------------


def test_frozen_mapping_is_a_mapping():
    frozen = FrozenMapping({"b": 1, "a": 2})
    assert list(frozen) == ["b", "a"]
    assert len(frozen) == 2
    assert frozen["a"] == 2
    assert dict(frozen) == {"b": 1, "a": 2} == frozen
    assert frozen == FrozenMapping({"a": 2, "b": 1})
    assert hash(frozen) == hash(FrozenMapping({"a": 2, "b": 1}))
    assert frozen != FrozenMapping({"a": 2})
    assert frozen != 3
    assert repr(frozen) == "{'b': 1, 'a': 2}"
    assert FrozenMapping() == {}
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    assert list(pickle.loads(pickle.dumps(frozen))) == ["b", "a"]


def test_frozen_mapping_keeps_its_own_copy():
    source = {"a": 1}
    frozen = FrozenMapping(source)
    source["a"] = 2
    assert frozen["a"] == 1
    with pytest.raises(KeyError):
        frozen["missing"]
    with pytest.raises((TypeError, AttributeError)):
        frozen["a"] = 3
    with pytest.raises((TypeError, AttributeError)):
        del frozen["a"]
    with pytest.raises(TypeError):
        frozen.other = 1
