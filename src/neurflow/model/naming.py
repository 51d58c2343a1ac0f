"""Matches text with class names, for targets, labels of pictures and options.

Text is compared with the class names by rules from the strictest to the loosest, and the first rule
that matches any class decides:

1. the exact name (in Unicode's composed form);
2. the name ignoring case, with ``_`` as a space;
3. for ``wnid_name``, as in ImageNet's folder names, the class with this wnid (its id in WordNet: ``n``
   and eight digits), or else the class with the name after it;
4. one of several names separated by commas (``tench, Tinca tinca``);
5. the number of the class, in ASCII digits; for labels of pictures, not if all names are numbers.

A rule that matches several classes is ambiguous, and nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from neurflow.errors import TargetError, near

_WNID = re.compile(r"(n\d{8})(?:[ _:,;\t-]+(.*))?", re.ASCII | re.DOTALL)
IMAGENET = 1000
"""number of classes of networks whose classes are in the order of ImageNet's wnids"""
_LISTED = 10
"""largest number of classes listed for an ambiguous text"""
_SHOWN = 80
"""largest number of characters of a text in a message"""

_Index = Mapping[str, tuple[int, ...]]


class ClassNames:
    """The names of a network's classes, in the order of the logits.

    Attributes:
        all: the names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.all = tuple(names)

    def __len__(self) -> int:
        return len(self.all)

    @cached_property
    def numbered(self) -> bool:
        """Whether the names are just the numbers of the classes."""
        return self.all == tuple(map(str, range(len(self))))

    @cached_property
    def _all_numbers(self) -> bool:
        """Whether the names are different numbers, and not just those of the classes."""
        digits = all(name.isascii() and name.isdigit() for name in self.all)
        return digits and not self.numbered and len(set(self.all)) == len(self)

    def matching(self, text: str) -> tuple[int, ...]:
        """Return the indices of the classes that match a text; several if it is ambiguous."""
        found = self._named(text)
        wnid = _wnid(text)
        if len(found) != 1 and wnid is not None:
            found = self._by_wnid(*wnid) or found
        return found or self._synonyms.get(folded(text), ()) or self._numbered(text)

    def labelled(self, text: str) -> tuple[int, ...]:
        """Return the indices of the classes that match a picture's label, as in :meth:`matching`.

        If all class names are numbers, a label is never taken as an index: if the classes are called
        ``1`` to ``9``, the label ``0`` matches no class.
        """
        return () if self._all_numbers and not self._named(text) else self.matching(text)

    def named(self, text: str) -> bool:
        """Return whether a text is the name of a class, and not only its number."""
        return bool(self._named(text)) and not self.numbered

    def label(self, text: str | None) -> int | None:
        """Return the class that a picture's label names; None if it names none or several."""
        found = () if text is None else self.labelled(text)
        return found[0] if len(found) == 1 else None

    def text_of(self, index: int) -> str:
        """Return a text that matches only this class: its name, or its number if that is ambiguous."""
        name = self.all[index]
        return name if self.matching(name) == (index,) else str(index)

    def target(self, text: str) -> tuple[int, int | None]:
        """Return the class that a target names, and the class to subtract for ``CLASS-CLASS``.

        Raises:
            TargetError: the text matches no class or several, or subtracts a class from itself.
        """
        found, said = self.matching(text), text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        if len(found) == 1:
            return found[0], None
        if found:
            raise TargetError(
                f"{said!r} names {self._choice(found)}. Give one of these numbers instead."
            )
        readings = [
            (plus, minus) for plus, minus in _split_at_hyphens(text) if self._both(plus, minus)
        ]
        pairs = {
            (i, j): (plus, minus)
            for plus, minus in readings
            for i in self.matching(plus)
            for j in self.matching(minus)
        }
        if len(pairs) == 1:
            ((plus_index, minus_index),) = pairs
            if plus_index == minus_index:
                raise TargetError(
                    f"{said!r} is the difference of class {self._shown(plus_index)} with itself, "
                    "which is always 0. Name two classes."
                )
            return plus_index, minus_index
        if pairs:
            choice = ", ".join(f"{i}-{j}" for i, j in list(pairs)[:_LISTED])
            sides = {side for pair in readings for side in pair if len(self.matching(side)) > 1}
            told = [f"{side!r} names {self._choice(self.matching(side))}" for side in sorted(sides)]
            why = "; ".join(told) or "it can be split at several hyphens"
            raise TargetError(f"{said!r} is ambiguous: {why}. Give numbers: {choice}.")
        raise TargetError(f"There is no class {said!r}.{near(text, self.all)}")

    def _both(self, plus: str, minus: str) -> bool:
        return bool(self.matching(plus) and self.matching(minus))

    def _choice(self, classes: Sequence[int]) -> str:
        more = "" if len(classes) <= _LISTED else f" and {len(classes) - _LISTED} more"
        return f"classes {list(classes[:_LISTED])}{more}"

    def _shown(self, index: int) -> str:
        return f"{index} ({self.all[index]})"

    def _named(self, text: str) -> tuple[int, ...]:
        return self._exact.get(_composed(text), ()) or self._loose.get(folded(text), ())

    def _by_wnid(self, wnid: str, rest: str) -> tuple[int, ...]:
        """Return classes of a ``wnid_name``: by the wnid if a class has it, else by the name."""
        by_id = self._wnids.get(wnid, ())
        if by_id:
            return by_id
        by_name = (self._named(rest) or self._synonyms.get(folded(rest), ())) if rest else ()
        if len(by_name) != 1 and len(self) == IMAGENET and not self._wnids:
            place = imagenet_wnids().get(wnid)
            if place is not None and (not by_name or place in by_name):
                return (place,)
        return by_name

    def _numbered(self, text: str) -> tuple[int, ...]:
        text = text.strip()
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(self):
            return (int(text),)
        return ()

    @cached_property
    def _exact(self) -> _Index:
        return _index((_composed(name), i) for i, name in enumerate(self.all))

    @cached_property
    def _loose(self) -> _Index:
        return _index((folded(name), i) for i, name in enumerate(self.all))

    @cached_property
    def _wnids(self) -> _Index:
        found = ((_wnid(name), i) for i, name in enumerate(self.all))
        return _index((wnid[0], i) for wnid, i in found if wnid is not None)

    @cached_property
    def _synonyms(self) -> _Index:
        """The names in ``wnid name, other name``, folded."""

        def parts() -> Iterator[tuple[str, int]]:
            for i, name in enumerate(self.all):
                wnid = _wnid(name)
                for part in (wnid[1] if wnid else name).split(","):
                    yield folded(part), i
                if wnid:
                    yield folded(wnid[1]), i

        return {text: places for text, places in _index(parts()).items() if text}


def imagenet_wnids() -> Mapping[str, int]:
    """Return wnid → class number for ImageNet's 1000 classes; empty without timm."""
    try:
        from timm.data.imagenet_info import ImageNetInfo
    except ImportError:
        return {}
    known = ImageNetInfo().label_names()  # type: ignore[no-untyped-call]
    return {str(wnid): place for place, wnid in enumerate(known)}


def _wnid(text: str) -> tuple[str, str] | None:
    found = _WNID.fullmatch(text.strip())
    return (found[1], found[2] or "") if found else None


def _split_at_hyphens(text: str) -> Iterator[tuple[str, str]]:
    for place, letter in enumerate(text):
        if letter == "-":
            yield text[:place].strip(), text[place + 1 :].strip()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Fold the case of a text, and replace ``_`` by a space."""
    small = unicodedata.normalize("NFC", text).casefold().replace("_", " ").strip()
    return unicodedata.normalize("NFC", small)


def _index(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, dict[int, None]] = {}
    for text, place in pairs:
        found.setdefault(text, {})[place] = None
    return {text: tuple(places) for text, places in found.items()}
