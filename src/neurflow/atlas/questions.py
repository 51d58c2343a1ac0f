"""Queries on many circuits of one network.

* ``shared_groups``: groups that several circuits share, by neurons or by crops.
* ``like_group``: the groups of all other circuits that are most similar to one.
* ``serving``: neurons, by the number of circuits that contain them.
* ``nearest`` and ``similarities``: circuits, by the core neurons that they share.
* ``changed``: two sweeps of the same targets, circuit by circuit.
* ``shortcut_candidates``: groups whose crops lie at the same place in their pictures.

``similarity`` defines the similarities. A circuit is given by its name or by that of its target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neurflow.atlas.query import Atlas
from neurflow.atlas.similarity import By, circuit_similarity, group_similarity
from neurflow.errors import RequestError, near

SAME: dict[By, float] = {"neurons": 0.3, "crops": 0.5}
"""smallest similarity of groups that count as the same"""
MIN_PICTURES = 5
"""smallest number of pictures of a shortcut candidate"""


def circuit_named(atlas: Atlas, name: str) -> str:
    """Return the name of the circuit that has a name, or whose target has it.

    Raises:
        RequestError: there is no such circuit, or there are several.
    """
    targets = atlas.query("SELECT circuit, target FROM targets ORDER BY circuit")
    folded = name.strip().casefold()
    found = targets[(targets.circuit == name) | (targets.target.str.casefold() == folded)]
    if len(found) == 1:
        return str(found.circuit.iloc[0])
    if len(found) > 1:
        raise RequestError(
            f"Several circuits have the target {name!r}. Give one of {', '.join(found.circuit)}."
        )
    known = [*targets.target, *targets.circuit]
    raise RequestError(f"The atlas has no circuit {name!r}.{near(name, known)}")


def shared_groups(
    atlas: Atlas,
    names: Sequence[str],
    without: Sequence[str] = (),
    *,
    by: By = "neurons",
    least: float | None = None,
) -> pd.DataFrame:
    """Return groups that the first circuit shares with all others, but with none of ``without``.

    Args:
        atlas: atlas of the circuits.
        names: at least two circuits or targets.
        without: circuits that must not have such a group.
        by: compare groups by their neurons, or by the network's activations on their crops.
        least: smallest similarity of groups that count as the same; default is ``SAME[by]``.

    Returns:
        ``layer, group`` of the first circuit, its ``label``, and for each other circuit its most
        similar group and the ``similarity``; most similar first.

    Raises:
        RequestError: there are fewer than two circuits, or one of them does not exist.
    """
    first, *others = [circuit_named(atlas, name) for name in names]
    if not others:
        raise RequestError("Shared groups need at least two circuits. Give two or more.")
    excluded = [circuit_named(atlas, name) for name in without]
    pairs = group_similarity(atlas, first, [*others, *excluded], by)
    pairs = pairs[pairs.similarity >= (SAME[by] if least is None else least)]
    best = pairs.sort_values("similarity", ascending=False, kind="stable").drop_duplicates(
        ["group", "circuit"]
    )
    found = _labelled(atlas, first, best[["layer", "group"]].drop_duplicates())
    for other in others:
        theirs = best[best.circuit == other][["group", "match", "similarity"]]
        theirs.columns = ["group", other, f"similarity of {other}"]
        found = found.merge(theirs, on="group")
    found = found[~found["group"].isin(best[best.circuit.isin(excluded)]["group"])]
    weakest = found.filter(like="similarity of ").min(axis=1)
    return found.loc[weakest.sort_values(ascending=False, kind="stable").index].reset_index(
        drop=True
    )


def like_group(
    atlas: Atlas, name: str, group: str, *, by: By = "neurons", count: int = 20
) -> pd.DataFrame:
    """Return the groups of other circuits that are most similar to one.

    Returns:
        ``target, circuit, group, label, similarity``; most similar first.

    Raises:
        RequestError: there is no such circuit or group.
    """
    circuit = circuit_named(atlas, name)
    known = atlas.query('SELECT "group" FROM groups WHERE circuit = ?', [circuit])["group"]
    if group not in set(known):
        raise RequestError(f"{circuit} has no group {group!r}.{near(group, list(known))}")
    found = group_similarity(atlas, circuit, None, by, group)
    found = found.sort_values("similarity", ascending=False, kind="stable").head(count)
    targets = atlas.query("SELECT circuit, target FROM targets")
    labels = atlas.query('SELECT circuit, "group" AS match, label FROM labels')
    found = found.merge(targets, on="circuit").merge(labels, on=["circuit", "match"], how="left")
    columns = ["target", "circuit", "match", "label", "similarity"]
    return found[columns].rename(columns={"match": "group"})


def _labelled(atlas: Atlas, circuit: str, groups: pd.DataFrame) -> pd.DataFrame:
    labels = atlas.query('SELECT "group", label FROM labels WHERE circuit = ?', [circuit])
    return groups.merge(labels, on="group", how="left")


def serving(atlas: Atlas, count: int = 20) -> pd.DataFrame:
    """Return the neurons that most circuits contain, with their mean number of meanings."""
    return atlas.query(
        """
        SELECT n.layer, n.neuron, count(*) AS circuits, avg(n.semantic_groups) AS meanings,
               list(t.target ORDER BY t.target)[:8] AS among
        FROM neurons n JOIN targets t USING (circuit) WHERE n.layer <> t.layer
        GROUP BY ALL ORDER BY circuits DESC, n.layer, n.neuron LIMIT ?""",
        [count],
    )


def similarities(atlas: Atlas) -> pd.DataFrame:
    """Return ``first, second, similarity`` of all pairs of circuits; most similar first."""
    known, similarity_matrix = circuit_similarity(atlas)
    (a, b), names = np.triu_indices(len(known), 1), np.array(known, dtype=object)
    found = pd.DataFrame(
        {"first": names[a], "second": names[b], "similarity": similarity_matrix[a, b]}
    )
    return found.dropna().sort_values(
        "similarity", ascending=False, kind="stable", ignore_index=True
    )


def nearest(atlas: Atlas, name: str, count: int = 10) -> pd.DataFrame:
    """Return ``circuit, target, similarity`` of the circuits most similar to one."""
    circuit = circuit_named(atlas, name)
    names, similarity_matrix = circuit_similarity(atlas, circuit)
    found = pd.DataFrame({"circuit": names, "similarity": similarity_matrix[0]}).dropna()
    targets = atlas.query("SELECT circuit, target FROM targets")
    found = targets.merge(found[found.circuit != circuit], on="circuit")
    return found.sort_values(
        ["similarity", "circuit"], ascending=[False, True], ignore_index=True
    ).head(count)


def changed(before: Atlas, after: Atlas) -> pd.DataFrame:
    """Compare the core neurons of each circuit in two sweeps.

    Returns:
        ``circuit, layer, before, after, common, jaccard``, where the first three figures are numbers of
        neurons; most changed circuit first.
    """
    query = "SELECT circuit, layer, neuron FROM neurons"
    old, new = before.query(query), after.query(query)
    both = old.merge(new, on=["circuit", "layer", "neuron"])
    keys = ["circuit", "layer"]
    sizes = [frame.groupby(keys).size() for frame in (old, new, both)]
    found = pd.concat(sizes, axis=1, keys=["before", "after", "common"]).fillna(0).astype(int)
    common = set(old.circuit) & set(new.circuit)
    found = found[found.index.get_level_values("circuit").isin(common)]
    found["jaccard"] = found.common / (found.before + found.after - found.common)
    order = found.groupby("circuit").jaccard.transform("mean")
    return (
        found.assign(mean=order).sort_values(["mean", "circuit"]).drop(columns="mean").reset_index()
    )


def shortcut_candidates(atlas: Atlas, count: int = 20) -> pd.DataFrame:
    """Return groups whose crops lie at the same place in their pictures, which is rare for objects.

    ``spread`` is the root mean square distance of the crops' centres from their mean, divided by the
    median of the layer's groups: 1 is average, and 0 means that the place is always the same.
    ``weight`` is the sum of the group's absolute weights to groups above. This signal needs neither the
    model nor further pictures; ``neurflow audit`` computes further signals.
    """
    return atlas.query(
        """
        WITH usual AS (
            SELECT circuit, layer, median(spread) AS usual FROM groups GROUP BY ALL)
        SELECT t.target, circuit, "group", pictures, spread / usual AS spread, weight
        FROM groups g JOIN usual USING (circuit, layer) JOIN targets t USING (circuit)
        WHERE pictures >= ? AND usual > 0 AND g.layer <> t.layer
        ORDER BY spread / usual, weight DESC, circuit, "group" LIMIT ?""",
        [MIN_PICTURES, count],
    )
