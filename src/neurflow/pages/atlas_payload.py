"""The data of an atlas's page: a map of classes, their groups, and groups that similar classes share.

All data come from the tables of the atlas; no circuit is loaded. With many classes, less is shown of
each, so that a browser can open the page quickly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from neurflow.atlas.mapping import plane
from neurflow.atlas.query import Atlas
from neurflow.atlas.questions import SAME, shortcut_candidates
from neurflow.atlas.similarity import By, circuit_similarity, nearest_groups
from neurflow.pages.model_name import model_name
from neurflow.pages.page_data import PageModel, data_uri
from neurflow.runtime.progress import Progress, Silent

NEAREST = 10
"""number of circuits listed as nearest to a circuit"""
PORTRAIT = 3
"""number of groups shown for a target, those with the strongest weights"""
SHORTCUTS = 24

Links = Literal["files", "served", "none"]
"""target of a class's link: a page beside this one, a page of the server, or a command to type"""


class Detail(NamedTuple):
    """The amount of data for each class."""

    pictures: int
    """number of pictures of a group"""
    near: int
    """number of nearest classes with shared groups"""
    shared: int
    """number of groups listed as shared with a class, for each measure"""


DETAILS = ((20, Detail(3, 5, 6)), (100, Detail(2, 3, 3)), (math.inf, Detail(1, 2, 1)))
"""largest number of classes → amount of data for each class; pictures are the largest part of a page"""


class ShownGroup(PageModel):
    """A group that the page names somewhere."""

    label: str | None
    pictures: list[int]
    """positions in ``AtlasPageData.pictures``"""


class SharedGroups(PageModel):
    """A group, and the one of another class that is most like it."""

    other: int
    by: By
    layer: str
    group: str
    match: str
    similarity: float


class ClassData(PageModel):
    """A class: a target with its circuit."""

    circuit: str
    target: str
    images: int
    crops: int
    neurons: int
    groups: int
    edges: int
    x: float
    y: float
    own: str | None
    """the target's own group, whose crops have the largest activations of the target"""
    portrait: list[tuple[str, float]]
    """groups with the strongest weights to the target, with their weights"""
    nearest: list[tuple[int, float]]
    """position of a class, similarity of the circuits"""
    shared: list[SharedGroups]
    shown: dict[str, ShownGroup]
    """group id → data of the group"""


class ShortcutData(PageModel):
    """A group whose crops lie in one place of their pictures."""

    circuit: int
    group: str
    spread: float
    """spread of the crops relative to the median of the layer"""
    weight: float
    pictures: int


class AtlasPageData(PageModel):
    """Everything the page shows."""

    kind: Literal["atlas"] = "atlas"
    model: str
    sweep: str
    """folder, as commands take it"""
    links: Links
    classes: list[ClassData]
    kept: float | None
    """share of a class's nearest circuits that are also nearest on the map"""
    neighbours: int
    shares: bool
    """whether the weights of all circuits are shares, which are shown in per cent"""
    same: dict[By, float] = Field(default_factory=lambda: dict(SAME))
    """similarity above which two groups count as shared"""
    shortcuts: list[ShortcutData]
    pictures: list[str]
    """data URIs"""


def atlas_payload(
    atlas: Atlas, *, links: Links = "none", progress: Progress | None = None
) -> AtlasPageData:
    """Return the data of the page.

    Raises:
        RequestError: scikit-learn is not installed.
    """
    progress = progress or Silent()
    progress.start("page", 4)
    targets = atlas.query("SELECT * FROM targets ORDER BY circuit")
    names, alike = circuit_similarity(atlas)
    drawn = plane(alike)
    progress.advance()
    place = {name: number for number, name in enumerate(names)}
    detail = next(detail for most, detail in DETAILS if len(names) <= most)
    near = {name: _nearest(alike[i], i) for i, name in enumerate(names)}
    with_near = {a: [names[b] for b, _ in near[a][: detail.near]] for a in near}
    shared = _shortened(_shared(atlas, with_near, detail))
    progress.advance()
    own, portraits = _own(atlas), _shortened(_portraits(atlas))
    candidates = _shortened(shortcut_candidates(atlas, SHORTCUTS)).drop(columns="target")
    candidates = candidates[candidates.spread < 1]
    wanted = pd.concat(
        [
            own,
            portraits[["circuit", "group"]],
            shared[["circuit", "group"]],
            shared[["other", "match"]].set_axis(["circuit", "group"], axis=1),
            candidates[["circuit", "group"]],
        ]
    ).drop_duplicates()
    pictures, shown = _shown(atlas, wanted, detail.pictures)
    progress.advance()
    own_of = dict(zip(own.circuit, own["group"], strict=True))
    drivers, sharing = _by_circuit(portraits), _by_circuit(shared)
    classes = [
        ClassData(
            **{column: row[column] for column in ("circuit", "target", *_SIZES)},
            x=_short(x),
            y=_short(y),
            own=own_of.get(row["circuit"]),
            portrait=[(each["group"], each["weight"]) for each in drivers[row["circuit"]]],
            nearest=[(b, _short(value)) for b, value in near[row["circuit"]]],
            shared=[
                SharedGroups(**each | {"other": place[each["other"]]})
                for each in sharing[row["circuit"]]
            ],
            shown=shown.get(row["circuit"], {}),
        )
        for row, (x, y) in zip(targets.to_dict("records"), drawn.points, strict=True)
    ]
    progress.advance()
    return AtlasPageData(
        model=", ".join(sorted({model_name(each) for each in targets.model})),
        sweep=str(atlas.folder.parent),
        links=links,
        classes=classes,
        kept=None if drawn.kept is None else _short(drawn.kept),
        neighbours=drawn.neighbours,
        shares=bool(targets.shares.all()),
        shortcuts=[
            ShortcutData(**each | {"circuit": place[each["circuit"]]})
            for each in candidates.to_dict("records")
        ],
        pictures=pictures,
    )


_SIZES = ("images", "crops", "neurons", "groups", "edges")


def _nearest(alike: np.ndarray, own: int) -> list[tuple[int, float]]:
    """Return positions and similarities of the circuits nearest to one."""
    order = np.argsort(-np.nan_to_num(alike, nan=-1.0), kind="stable")
    near = [int(b) for b in order if b != own and not np.isnan(alike[b])]
    return [(b, float(alike[b])) for b in near[:NEAREST]]


def _shared(atlas: Atlas, near: dict[str, list[str]], detail: Detail) -> pd.DataFrame:
    """Return the most similar groups of near classes, by both measures."""
    measures: tuple[By, ...] = ("neurons", "crops")
    found = pd.concat(
        [nearest_groups(atlas, near, by, SAME[by]).assign(by=by) for by in measures],
        ignore_index=True,
    ).sort_values("similarity", ascending=False, kind="stable")
    return found.groupby(["circuit", "other", "by"], sort=False).head(detail.shared)


def _own(atlas: Atlas) -> pd.DataFrame:
    return atlas.query(
        """SELECT circuit, min("group") AS "group" FROM groups g JOIN targets t USING (circuit)
           WHERE g.layer = t.layer GROUP BY circuit"""
    )


def _portraits(atlas: Atlas) -> pd.DataFrame:
    """Return ``circuit, group, weight`` of the strongest groups of each target, strongest first."""
    return atlas.query(
        """SELECT e.circuit, e."lower" AS "group", e.weight FROM group_edges e
           JOIN targets t ON t.circuit = e.circuit
           JOIN groups g ON g.circuit = e.circuit AND g."group" = e."upper" AND g.layer = t.layer
           QUALIFY row_number() OVER (PARTITION BY e.circuit ORDER BY abs(e.weight) DESC, e."lower")
               <= ? ORDER BY e.circuit, abs(e.weight) DESC, e."lower" """,
        [PORTRAIT],
    )


def _shown(
    atlas: Atlas, wanted: pd.DataFrame, count: int
) -> tuple[list[str], dict[str, dict[str, ShownGroup]]]:
    """Return the pictures, each once, and the data of each (circuit, group)."""
    asked = {"circuits": wanted.circuit.tolist(), "groups": wanted["group"].tolist()}
    which = 'SELECT unnest($circuits) AS circuit, unnest($groups) AS "group"'
    thumbnails = atlas.query(
        f"""SELECT circuit, "group", webp FROM thumbnails JOIN ({which}) USING (circuit, "group")
            WHERE place < $count ORDER BY circuit, "group", place""",
        {**asked, "count": count},
    )
    labels = atlas.query(
        f'SELECT circuit, "group", label FROM labels JOIN ({which}) USING (circuit, "group")', asked
    )
    label_of = {(row.circuit, row.group): row.label for row in labels.itertuples()}
    places: dict[bytes, int] = {}
    shown: dict[str, dict[str, ShownGroup]] = {}
    for circuit, group in wanted.itertuples(index=False):
        shown.setdefault(circuit, {})[group] = ShownGroup(
            label=label_of.get((circuit, group)), pictures=[]
        )
    for circuit, group, webp in thumbnails.itertuples(index=False):
        number = places.setdefault(bytes(webp), len(places))
        shown[circuit][group].pictures.append(number)
    return [data_uri(each) for each in places], shown


def _by_circuit(frame: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return circuit → its rows, with their other columns."""
    found = defaultdict[str, list[dict[str, Any]]](list)
    for row in frame.to_dict("records"):
        found[row.pop("circuit")].append(row)
    return found


def _shortened(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].map(_short) for name in frame.select_dtypes("float")})


def _short(value: float) -> float:
    """Round to four significant digits."""
    return float(f"{value:.4g}")
