"""The clustering tree of a layer's pairs, its branches, and its cuts.

1. Pairs are joined by average linkage on the cosine distance of their vectors. Unlike Ward's
   criterion, average linkage does not depend on the sizes of groups.
2. A tree of n pairs has 2n − 1 branches: the pairs 0 … n − 1, then branch n + i made by merge i.
3. The cut into c groups undoes the last c − 1 merges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Merges = Sequence[tuple[int, int]]
"""the two branches that each merge joins"""


def joined(vectors: np.ndarray) -> tuple[list[tuple[int, int]], list[float]]:
    """Join vectors ``[pair, feature]`` of unit length by average linkage on the cosine distance.

    Returns:
        (merges, height of each), the lowest first.
    """
    if len(vectors) < 2:
        return [], []
    # Reading a circuit does without these imports, which take longer than all others together.
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import pdist

    # half the squared distance is one minus the cosine
    return merges_of(linkage(pdist(vectors, "sqeuclidean") / 2, "average"))


def merges_of(tree: np.ndarray) -> tuple[list[tuple[int, int]], list[float]]:
    """Return (merges, height of each) of a tree in the format of scipy's ``linkage``."""
    merges = [(int(a), int(b)) for a, b in tree[:, :2]]
    return merges, np.maximum.accumulate(tree[:, 2]).tolist()


def branches(merges: Merges) -> np.ndarray:
    """Return ``[branch, pair]``: whether the pair is in the branch."""
    pairs = len(merges) + 1
    members = np.zeros((2 * pairs - 1, pairs), dtype=bool)
    members[:pairs] = np.eye(pairs, dtype=bool)
    for i, (a, b) in enumerate(merges):
        members[pairs + i] = members[a] | members[b]
    return members


def cut(merges: Merges, count: int) -> list[int]:
    """Return the branches that are the groups of the cut into ``count``."""
    kept = merges[: len(merges) + 1 - count]
    joined_up = {branch for merge in kept for branch in merge}
    return [b for b in range(len(merges) + 1 + len(kept)) if b not in joined_up]


def branches_of_cuts(merges: Merges, largest: int) -> dict[int, list[int]]:
    """Return branch → its pairs, for all branches that are groups in a cut into 1 … ``largest``."""
    members = branches(merges)
    counts = range(1, min(largest, len(merges) + 1) + 1)
    found = sorted({branch for count in counts for branch in cut(merges, count)})
    return {branch: np.flatnonzero(members[branch]).tolist() for branch in found}


def labels(merges: Merges, largest: int) -> np.ndarray:
    """Return ``[count, pair]``: the group of each pair in the cut into 1, 2, … ``largest`` groups."""
    members = branches(merges)
    found = np.zeros((largest, len(merges) + 1), dtype=np.int64)
    for count in range(2, largest + 1):
        for number, branch in enumerate(cut(merges, count)):
            found[count - 1, members[branch]] = number
    return found


def numbered(merges: Merges, count: int) -> list[int]:
    """Return the number ``[branch]`` of each branch in group ids.

    The groups of the cut into ``count`` come first, then all other branches. Both are in descending
    order of size, and ties are in the order of the first pair.
    """
    members = branches(merges)
    groups = set(cut(merges, count))
    order = sorted(
        range(len(members)),
        key=lambda b: (b not in groups, -members[b].sum(), int(members[b].argmax()), b),
    )
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.arange(len(order))
    return [int(number) for number in numbers]
