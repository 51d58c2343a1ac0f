"""Labels that are spelled differently from the names of the classes, as in well-known data sets.

A label that fits no class by the rules of ``neurflow.model.naming`` is compared in looser forms:

1. with hyphens, dots and slashes between words as spaces: ``golden-retriever``;
2. without separators between words: ``GoldenRetriever``;
3. without a number before it: ``001.Black_footed_Albatross`` (CUB-200, Caltech-256);
4. the species at the end of a taxonomy: ``00000_Animalia_…_Lumbricus_terrestris`` (iNaturalist).

A form counts only if it fits a single class, and form 3 only if no other label fits the same class. A
note gives the labels that were read in this way.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from neurflow.model.naming import ClassNames, folded

_BETWEEN = re.compile(r"(?<=\w)(?<!\d)[\s/.'’-]+(?=\w)|(?<=\w)[\s/.'’-]+(?=[^\W\d])")
"""what stands between two words, but not between two digits"""
_NUMBER = re.compile(r"0*(\d{1,6}) ?[ .:)-] ?(?=.*[^\W\d])(.*)", re.DOTALL)
_TAXONOMY = re.compile(
    r"\d+ (?:animalia|plantae|fungi|chromista|protozoa|bacteria|archaea) .* (\w+ \w+)"
)
_LAST_NUMBER = re.compile(r"[\s._-]*\(?\d*\)?$")
_UNREAD = 5
"""number of labels that fit no class which a note lists"""
_LISTED = 3
"""number of labels that a note shows"""


class Spellings:
    """Finds the class of labels that are spelled differently.

    Args:
        classes: names of the classes.
    """

    def __init__(self, classes: ClassNames) -> None:
        self._classes = classes

    def fits(self, label: str) -> bool:
        """Return whether a label fits a class by the strict rules or in a looser form."""
        return self._classes.label(label) is not None or self._class_of(label) is not None

    def read(self, labels: Sequence[str | None]) -> tuple[list[str | None], list[str]]:
        """Replace labels that fit in a looser form by the name of the class; also return notes.

        Numbers of classes that do not count from 0 become None.
        """
        plain = {label: int(label) for label in labels if label and self._is_number(label)}
        if note := not_from_zero(plain.values(), len(self._classes)):
            return [None if label in plain else label for label in labels], [note]
        found = self._found({label for label in labels if label is not None})
        if not found:
            return list(labels), []
        said = {old: self._classes.text_of(place) for old, place in found.items()}
        listed = ", ".join(f"{old} as {new}" for old, new in sorted(said.items())[:_LISTED])
        more = f" and {len(said) - _LISTED} more" if len(said) > _LISTED else ""
        note = f"Labels that are spelled differently from the classes were read: {listed}{more}."
        return [said.get(label, label) if label else label for label in labels], [note]

    def _is_number(self, label: str) -> bool:
        """Return whether a label can only be the number of a class, not a name."""
        digits = label.isascii() and label.isdigit() and len(label) < 10
        return digits and not self._classes.labelled(label)[1:] and not self._classes.named(label)

    def of_file(self, stem: str) -> str | None:
        """Return the class whose name the file name begins with, as in ``Abyssinian_100``; or None."""
        for text in (stem, _LAST_NUMBER.sub("", stem)):
            if not re.search(r"[^\W\d_]", text):  # a number is not the name of a class here
                continue
            place = self._classes.label(text)
            place = self._class_of(text) if place is None else place
            if place is not None:
                return self._classes.text_of(place)
        return None

    def _found(self, labels: Iterable[str]) -> dict[str, int]:
        """Return label → class, for labels that fit a class only in a looser form."""
        found: dict[str, int] = {}
        sources = defaultdict[int, set[str]](set)
        for label in labels:
            place = self._classes.label(label)
            if place is None and not self._classes.labelled(label):
                place = self._class_of(label)
                if place is not None:
                    found[label] = place
            if place is not None:
                sources[place].add(label)
        return {
            label: place
            for label, place in found.items()
            if self._by_form(label, numbers=False) == place or len(sources[place]) == 1
        }

    def _class_of(self, label: str) -> int | None:
        place = self._by_form(label, numbers=False)
        return self._by_form(label, numbers=True) if place is None else place

    def _by_form(self, label: str, *, numbers: bool) -> int | None:
        """Return the single class that a label fits, with or without numbers before names."""
        for key, number in _forms(label, numbers):
            found = {
                place
                for place, own in self._index.get(key, ())
                if not numbers or None in (number, own) or number == own
            }
            if len(found) == 1:
                return found.pop()
            if found:
                return None
        return None

    @cached_property
    def _index(self) -> dict[str, list[tuple[int, int | None]]]:
        """Form → (class, number before its name) of each class with this form."""
        found = defaultdict[str, list[tuple[int, int | None]]](list)
        for place, name in enumerate(self._classes.all):
            for part in {name, *name.split(",")}:
                for numbers in (False, True):
                    for key, number in _forms(part, numbers):
                        found[key].append((place, number))
        return found


def not_from_zero(numbers: Iterable[int], classes: int) -> str:
    """Return a note on labels that count from 1, unlike the classes; empty if they do not.

    Such numbers may also be in another order, because ``ImageFolder`` sorts folders as text.
    """
    found = {number for number in numbers if number >= 0}
    if not found or not 0 < min(found) < classes <= max(found):
        return ""
    return (
        f"The labels are numbers up to {max(found)} without 0, but the classes have the numbers 0 to "
        f"{classes - 1}. These images count as unlabelled. Give names as labels, or class names that "
        "are these numbers (--class-names)."
    )


def label_notes(labels: Iterable[str | None], names: ClassNames) -> list[str]:
    """Return notes on labels that match no class or several classes."""
    counts = Counter(label for label in labels if label is not None)
    found = {label: names.labelled(label) for label in counts}
    return [
        *_label_note("no class of the model", [c for c in counts.items() if not found[c[0]]]),
        *_label_note("several classes", [c for c in counts.items() if len(found[c[0]]) > 1]),
    ]


def _label_note(what: str, odd: list[tuple[str, int]]) -> list[str]:
    """Return a note on labels that cannot be used, the most frequent first; [] if there are none."""
    if not odd:
        return []
    most = sorted(odd, key=lambda each: -each[1])[:_UNREAD]
    listed = ", ".join(f"{label} ({count})" for label, count in most)
    more = f" and {len(odd) - _UNREAD} more" if len(odd) > _UNREAD else ""
    count = sum(count for _, count in odd)
    images = "1 image counts" if count == 1 else f"{count} images count"
    return [f"{images} as unlabelled because the label fits {what}: {listed}{more}."]


def _forms(text: str, numbers: bool) -> Iterator[tuple[str, int | None]]:
    """Yield (form, number before it) of a text, stricter forms first."""
    plain = _BETWEEN.sub(" ", folded(text).strip("/"))
    number = _NUMBER.fullmatch(plain)
    if not numbers:
        texts = [plain]
    else:
        species = _TAXONOMY.fullmatch(plain)
        texts = [species[1]] if species else [number[2]] if number else []
    for each in texts:
        words = " ".join(each.split())
        if re.search(r"[^\W\d_]", words):
            yield words, int(number[1]) if numbers and number else None
            yield words.replace(" ", ""), int(number[1]) if numbers and number else None
