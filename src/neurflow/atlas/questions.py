"""What one asks of many circuits of one network, each as one query.

* ``shared_groups``: groups of several circuits that are the same: by the neurons they have in common.
* ``serving``: neurons, by how many circuits they serve.
* ``nearest`` and ``similarities``: circuits, by the core neurons they have in common.
* ``changed``: two sweeps of the same targets, circuit by circuit.
* ``shortcut_candidates``: groups whose crops lie in one place of their pictures.

Jaccard indices are of neurons within a layer; over layers, their mean. A circuit may be called by its
own name or by its target's.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from neurflow.atlas.query import Atlas
from neurflow.errors import RequestError, near

SAME = 0.3
"""Jaccard index of their neurons from which on two groups count as the same"""
FEWEST_PICTURES = 5
"""that tell whether a group's crops keep to one place"""

_SIMILARITIES = """
    WITH inner_neurons AS (
        SELECT n.circuit, n.layer, n.neuron FROM neurons n JOIN targets t USING (circuit)
        WHERE n.layer <> t.layer),
    sizes AS (SELECT circuit, layer, count(*) AS size FROM inner_neurons GROUP BY ALL),
    pairs AS (
        SELECT a.circuit AS first, b.circuit AS second, layer, count(*) AS common
        FROM inner_neurons a JOIN inner_neurons b USING (layer, neuron)
        WHERE {condition} GROUP BY ALL),
    layers AS (
        SELECT a.circuit AS first, b.circuit AS second, layer,
               coalesce(common, 0) / (a.size + b.size - coalesce(common, 0)) AS jaccard
        FROM sizes a JOIN sizes b USING (layer)
        LEFT JOIN pairs ON pairs.first = a.circuit AND pairs.second = b.circuit
                       AND pairs.layer = layer
        WHERE {condition})
    SELECT first, second, avg(jaccard) AS similarity FROM layers GROUP BY ALL"""
_MEMBERS = """
    SELECT DISTINCT circuit, layer, "group", neuron FROM semantic_groups"""


def circuit_named(atlas: Atlas, name: str) -> str:
    """The circuit of that name, or whose target has it.

    Raises:
        RequestError: there is none, or several.
    """
    targets = atlas.query("SELECT circuit, target FROM targets ORDER BY circuit")
    folded = name.strip().casefold()
    found = targets[(targets.circuit == name) | (targets.target.str.casefold() == folded)]
    if len(found) == 1:
        return str(found.circuit.iloc[0])
    if len(found) > 1:
        raise RequestError(f"{name!r} is the target of {', '.join(found.circuit)}: name one.")
    known = [*targets.target, *targets.circuit]
    raise RequestError(f"The atlas has no circuit {name!r}.{near(name, known)}")


def shared_groups(
    atlas: Atlas, names: Sequence[str], without: Sequence[str] = (), *, least: float = SAME
) -> pd.DataFrame:
    """Groups that the first circuit shares with each of the others, and with none of ``without``.

    Args:
        atlas: over all of them.
        names: at least two circuits or targets.
        without: circuits that have no such group.
        least: Jaccard index of neurons from which on groups count as the same.

    Returns:
        ``layer, group`` of the first circuit, its ``label``, and for each other circuit its most
        similar group and the ``jaccard`` index; the most similar first.

    Raises:
        RequestError: fewer than two circuits, or one that is not there.
    """
    first, *others = [circuit_named(atlas, name) for name in names]
    if not others:
        raise RequestError("It takes two circuits to share a group: name another one.")
    found = atlas.query(
        'SELECT layer, "group", label FROM groups WHERE circuit = ? AND layer NOT IN '
        "(SELECT layer FROM targets WHERE circuit = ?)",
        [first, first],
    )
    for other in others:
        best = _best(atlas, first, other)
        best = best[best.jaccard >= least]
        best = best.rename(columns={"match": other, "jaccard": f"jaccard of {other}"})
        found = found.merge(best, on="group")
    for other in (circuit_named(atlas, name) for name in without):
        best = _best(atlas, first, other)
        found = found[~found["group"].isin(best[best.jaccard >= least]["group"])]
    jaccards = [column for column in found.columns if column.startswith("jaccard of ")]
    return found.loc[found[jaccards].min(axis=1).sort_values(ascending=False).index].reset_index(
        drop=True
    )


def _best(atlas: Atlas, first: str, other: str) -> pd.DataFrame:
    """For each group of a circuit, the group of another one with the largest Jaccard index."""
    return atlas.query(
        f"""
        WITH members AS ({_MEMBERS} WHERE circuit IN (?, ?)),
        sizes AS (SELECT circuit, "group", count(*) AS size FROM members GROUP BY ALL),
        pairs AS (
            SELECT a."group" AS g, b."group" AS h, count(*) AS common
            FROM members a JOIN members b USING (layer, neuron)
            WHERE a.circuit = ? AND b.circuit = ? GROUP BY ALL),
        scored AS (
            SELECT g, h, common / (a.size + b.size - common) AS jaccard FROM pairs
            JOIN sizes a ON a.circuit = ? AND a."group" = g
            JOIN sizes b ON b.circuit = ? AND b."group" = h)
        SELECT g AS "group", arg_max(h, jaccard) AS match, max(jaccard) AS jaccard
        FROM scored GROUP BY g""",
        [first, other] * 3,
    )


def serving(atlas: Atlas, count: int = 20) -> pd.DataFrame:
    """Neurons by the number of circuits they serve, with their mean number of meanings there."""
    return atlas.query(
        """
        SELECT n.layer, n.neuron, count(*) AS circuits, avg(n.semantic_groups) AS meanings,
               list(t.target ORDER BY t.target)[:8] AS among
        FROM neurons n JOIN targets t USING (circuit) WHERE n.layer <> t.layer
        GROUP BY ALL ORDER BY circuits DESC, n.layer, n.neuron LIMIT ?""",
        [count],
    )


def similarities(atlas: Atlas) -> pd.DataFrame:
    """``first, second, similarity`` of every pair of circuits."""
    found = _SIMILARITIES.format(condition="a.circuit < b.circuit")
    return atlas.query(f"{found} ORDER BY similarity DESC, first, second")


def nearest(atlas: Atlas, name: str, count: int = 10) -> pd.DataFrame:
    """The circuits most similar to one."""
    circuit = circuit_named(atlas, name)
    found = _SIMILARITIES.format(condition="a.circuit = ? AND b.circuit <> ?")
    return atlas.query(
        f"""
        WITH near AS ({found})
        SELECT second AS circuit, target, similarity FROM near
        JOIN targets ON targets.circuit = second
        ORDER BY similarity DESC, second LIMIT ?""",
        [*[circuit] * 4, count],
    )


def changed(before: Atlas, after: Atlas) -> pd.DataFrame:
    """Circuits of one target in two sweeps: how many of their core neurons are the same.

    Returns:
        ``circuit, layer, before, after, common, jaccard``; the most changed circuit first.
    """
    query = "SELECT circuit, layer, neuron FROM neurons"
    old, new = before.query(query), after.query(query)
    both = old.merge(new, on=["circuit", "layer", "neuron"])
    keys = ["circuit", "layer"]
    sizes = [frame.groupby(keys).size() for frame in (old, new, both)]
    found = pd.concat(sizes, axis=1, keys=["before", "after", "common"]).fillna(0).astype(int)
    there = set(old.circuit) & set(new.circuit)
    found = found[found.index.get_level_values("circuit").isin(there)]
    found["jaccard"] = found.common / (found.before + found.after - found.common)
    order = found.groupby("circuit").jaccard.transform("mean")
    return (
        found.assign(mean=order).sort_values(["mean", "circuit"]).drop(columns="mean").reset_index()
    )


def shortcut_candidates(atlas: Atlas, count: int = 20) -> pd.DataFrame:
    """Groups whose crops lie in one place of their pictures, which objects seldom do.

    ``spread`` is how far the crops' centres are from their mean place (root mean square), divided by
    the median of the layer's groups: 1 is usual, 0 is always one place. ``weight`` is the sum of
    absolute weights by which the group acts on groups above. A signal that needs no model and no
    further picture; ``neurflow audit`` has the others.
    """
    return atlas.query(
        """
        WITH centres AS (
            SELECT c.circuit, g.layer, c."group", image, ("left" + "right") / 2 AS x,
                   (top + bottom) / 2 AS y
            FROM group_crops c JOIN groups g USING (circuit, "group")),
        spreads AS (
            SELECT circuit, layer, "group", count(DISTINCT image) AS pictures,
                   sqrt(var_pop(x) + var_pop(y)) AS spread
            FROM centres GROUP BY ALL),
        usual AS (SELECT circuit, layer, median(spread) AS usual FROM spreads GROUP BY ALL),
        acting AS (
            SELECT circuit, "lower" AS "group", sum(abs(weight)) AS weight
            FROM group_edges GROUP BY ALL)
        SELECT t.target, circuit, "group", pictures, spread / usual AS spread, weight
        FROM spreads JOIN usual USING (circuit, layer) JOIN acting USING (circuit, "group")
        JOIN targets t USING (circuit)
        WHERE pictures >= ? AND usual > 0
        ORDER BY spread / usual, weight DESC LIMIT ?""",
        [FEWEST_PICTURES, count],
    )
