"""Similarity of circuits, and of groups of different circuits.

* Two circuits: the Jaccard index of their core neurons in a layer, averaged over the common layers.
* Two groups of a layer, by neurons: the Jaccard index of their neurons.
* Two groups of a layer, by crops: the cosine of their vectors, which are the mean activations of the
  layer below on their crops. The mean over all groups of the layer in the atlas is subtracted first,
  because activations are positive and therefore similar. Unrelated groups then have a similarity of
  about 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from neurflow.atlas.query import Atlas
from neurflow.refs import GroupId

By = Literal["neurons", "crops"]


def circuit_similarity(atlas: Atlas, of: str | None = None) -> tuple[list[str], np.ndarray]:
    """Return the similarity of circuits.

    Args:
        atlas: atlas of the circuits.
        of: compare only this circuit with all; None compares every pair.

    Returns:
        Names of all circuits, and similarities ``[circuit, circuit]`` (``[1, circuit]`` for a single
        one) from 0 to 1; NaN if two circuits have no layer in common.
    """
    names = atlas.query("SELECT circuit FROM targets ORDER BY circuit").circuit.tolist()
    place = {name: number for number, name in enumerate(names)}
    asked = [place[of]] if of is not None else list(range(len(names)))
    total = np.zeros((len(asked), len(names)), dtype=np.float32)
    layers = np.zeros_like(total)
    neurons = (
        atlas.query(  # as numbers, because a million names would take longer than all the rest
            """WITH t AS (SELECT circuit, layer, row_number() OVER (ORDER BY circuit) - 1 AS place
                      FROM targets),
                l AS (SELECT DISTINCT layer, dense_rank() OVER (ORDER BY layer) AS number FROM layers)
           SELECT l.number AS layer, t.place, n.neuron
           FROM neurons n JOIN t USING (circuit) JOIN l ON l.layer = n.layer
           WHERE n.layer <> t.layer"""
        )
    )
    for numbers in neurons.groupby("layer").indices.values():
        there, row = np.unique(neurons.place.to_numpy()[numbers], return_inverse=True)
        _, column = np.unique(neurons.neuron.to_numpy()[numbers], return_inverse=True)
        used = np.zeros((len(there), column.max() + 1), dtype=np.float32)
        used[row, column] = 1
        ours = np.isin(asked, there)
        first = used[np.searchsorted(there, np.asarray(asked)[ours])]
        common = first @ used.T
        either = first.sum(1)[:, None] + used.sum(1)[None] - common
        block = np.ix_(np.flatnonzero(ours), there)
        total[block] += common / either
        layers[block] += 1
    with np.errstate(invalid="ignore"):
        return names, total / layers


def group_similarity(
    atlas: Atlas, first: str, others: Sequence[str] | None, by: By, group: str | None = None
) -> pd.DataFrame:
    """Return ``layer, group, circuit, match, similarity`` of the groups of one circuit and of others.

    Args:
        atlas: atlas of the circuits.
        first: the circuit.
        others: circuits to compare it with; None for all.
        by: neurons or crops.
        group: compare only this group of the first circuit.

    Returns:
        All pairs of groups of one layer with a similarity above 0, without the layers of the targets.
    """
    describe = _by_neurons if by == "neurons" else _by_crops
    wanted = None if others is None else [first, *others]
    found = [pd.DataFrame(columns=["layer", "group", "circuit", "match", "similarity"])]
    for layer, groups, rows in describe(
        atlas, wanted, GroupId.parse(group).layer if group else None
    ):
        own = (groups.circuit == first).to_numpy()
        asked = own if group is None else own & (groups.group == group).to_numpy()
        similarity_matrix = _similarity(rows[asked], rows, by)
        similarity_matrix[:, own] = 0
        a, b = np.nonzero(similarity_matrix > 0)
        left, right = groups[asked].iloc[a], groups.iloc[b]
        found.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "group": left.group.to_numpy(),
                    "circuit": right.circuit.to_numpy(),
                    "match": right.group.to_numpy(),
                    "similarity": similarity_matrix[a, b].astype(float),
                }
            )
        )
    return pd.concat([each for each in found if len(each)] or found, ignore_index=True)


def nearest_groups(
    atlas: Atlas, near: Mapping[str, Sequence[str]], by: By, least: float
) -> pd.DataFrame:
    """Return ``circuit, other, layer, group, match, similarity`` of each group's best matches.

    The memory holds one layer of all circuits at a time.

    Args:
        atlas: atlas of the circuits.
        near: circuit → other circuits to compare it with.
        by: neurons or crops.
        least: smallest similarity of a match.
    """
    layers = atlas.query(
        "SELECT DISTINCT g.layer FROM layers g JOIN targets t USING (circuit) WHERE g.layer <> t.layer"
    ).layer
    describe = _by_neurons if by == "neurons" else _by_crops
    found = []
    for layer in sorted(layers):
        for _, groups, rows in describe(atlas, None, layer):
            of, names = groups.groupby("circuit").indices, groups["group"].to_numpy()
            for circuit, other in ((a, b) for a in near for b in near[a] if a in of and b in of):
                similarity_matrix = _similarity(rows[of[circuit]], rows[of[other]], by)
                best = similarity_matrix.argmax(axis=1)
                for own in np.flatnonzero(similarity_matrix.max(axis=1) >= least):
                    group, match = names[of[circuit][own]], names[of[other][best[own]]]
                    similarity = float(similarity_matrix[own, best[own]])
                    found.append((circuit, other, layer, group, match, similarity))
    columns = ["circuit", "other", "layer", "group", "match", "similarity"]
    return pd.DataFrame(found, columns=columns)


def _similarity(x: np.ndarray, y: np.ndarray, by: By) -> np.ndarray:
    """Return ``[row of x, row of y]``: Jaccard indices of sets, or cosines of unit vectors."""
    found = x @ y.T
    return found if by == "crops" else found / (x.sum(1)[:, None] + y.sum(1)[None] - found)


_Described = Iterator[tuple[str, pd.DataFrame, np.ndarray]]
"""for each layer: its name, its groups (circuit, group), and ``[group, feature]``"""


def _inner(circuits: list[str] | None, layer: str | None) -> tuple[str, dict[str, Any]]:
    """Return SQL that selects circuits and layers below the target from ``g``, and its parameters."""
    sql, parameters = "JOIN targets t USING (circuit) WHERE g.layer <> t.layer", dict[str, Any]()
    if circuits is not None:
        sql, parameters = f"{sql} AND list_contains($circuits, circuit)", {"circuits": circuits}
    if layer is not None:  # a plain condition, with which other layers are not read
        sql, parameters = f"{sql} AND g.layer = $layer", {**parameters, "layer": layer}
    return sql, parameters


def _by_neurons(atlas: Atlas, circuits: list[str] | None, layer: str | None) -> _Described:
    """Yield groups as sets of neurons."""
    which, parameters = _inner(circuits, layer)
    members = atlas.query(
        f"""SELECT DISTINCT circuit, g.layer, "group", g.neuron FROM semantic_groups g {which}
            ORDER BY ALL""",
        parameters,
    )
    for name, part in members.groupby("layer"):
        key = part[["circuit", "group"]]
        groups = key.drop_duplicates(ignore_index=True)
        row = (key != key.shift()).any(axis=1).cumsum().to_numpy() - 1
        _, column = np.unique(part.neuron, return_inverse=True)
        rows = np.zeros((len(groups), column.max() + 1), dtype=np.float32)
        rows[row, column] = 1
        yield str(name), groups, rows


def _by_crops(atlas: Atlas, circuits: list[str] | None, layer: str | None) -> _Described:
    """Yield groups as their centred vectors, scaled to unit length."""
    of_layer, parameters = _inner(None, layer)
    means = atlas.vectors(
        f"SELECT g.layer, g.groups, g.vector FROM layers g {of_layer} ORDER BY g.layer, circuit",
        parameters,
    )
    centres = {name: np.average(rows, axis=0, weights=of.groups) for name, of, rows in means}
    which, parameters = _inner(circuits, layer)
    for name, groups, rows in atlas.vectors(
        f"""SELECT circuit, g.layer, "group", vector FROM group_vectors g {which}
            ORDER BY g.layer, circuit, g."group" """,
        parameters,
    ):
        rows = rows - centres[name].astype(np.float32)
        length = np.sqrt(np.einsum("gf,gf->g", rows, rows))[:, None]
        rows /= np.where(length > 0, length, 1)
        yield name, groups, rows
