"""Rewrites command lines from before the subcommands; to be removed after one release.

``modern`` turns an old command line into new ones with the same effect: usually one, or two where one
command used to both label groups and check the labels.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from neurflow.errors import RequestError

SWITCHES = frozenset(
    [
        *("--json", "--traceback", "--debug", "-q", "--quiet", "-v", "--verbose", "--no-open"),
        *("--sheet", "--dry-run", "--no-validation", "--no-constant", "--redo", "--allow-chance"),
        *("--classes-as-text", "--serving", "--shortcuts", "--map-only", "--renew", "--errors"),
        *("--quick", "-h", "--help"),
    ]
)
"""options of the old commands that take no value"""
COMMANDS = {
    "label": ("ask", "words", "set", "pin", "unpin", "reject", "search", "check"),
    "sweep": ("run", "status", "merge"),
    "atlas": (*("query", "shared", "like", "serving", "nearest", "shortcuts", "changed", "map"),),
}
"""old commands with modes → their subcommands"""

Words: TypeAlias = list[str]


@dataclass
class Line:
    """A parsed old command line.

    Attributes:
        arguments: words that are not options.
        options: (option, its values), in the order given.
    """

    arguments: Words = field(default_factory=list)
    options: list[tuple[str, Words]] = field(default_factory=list)

    def take(self, name: str) -> Words:
        """Remove an option and return all its values."""
        found = [value for option, values in self.options if option == name for value in values]
        self.options = [(option, values) for option, values in self.options if option != name]
        return found

    def has(self, *names: str) -> bool:
        """Return whether any of these options was given."""
        return any(option in names for option, _ in self.options)

    def rest(self, *without: str) -> Words:
        """Return the remaining options as words."""
        return [
            word
            for option, values in self.options
            if option not in without
            for word in (option, *values)
        ]


def modern(words: Sequence[str]) -> tuple[list[Words], str | None]:
    """Rewrite a command line.

    Args:
        words: the command line, without the name of the program.

    Returns:
        The command lines to run instead, and a note for the user (None if nothing changed).

    Raises:
        RequestError: modes that exclude each other.
    """
    words = list(words)
    place = next((i for i, word in enumerate(words) if not word.startswith("-")), None)
    if place is None:
        return [words], None
    first, command, rest = words[:place], words[place], words[place + 1 :]
    rest = ["--traceback" if word == "--debug" else word for word in rest]
    asked = next((word for word in rest if word not in SWITCHES), None)
    rewrite = _REWRITE.get(command)
    known = COMMANDS.get(command)
    if rewrite is None or (known and (asked is None or asked in known)):
        lines = [[command, *rest]]
    else:
        lines = [[command, *line] for line in rewrite(_parsed(rest), rest)]
    lines = [[*first, *line] for line in lines]
    if lines == [words]:
        return lines, None
    rewritten = "; then ".join(f"neurflow {shlex.join(line)}" for line in lines)
    return lines, f"Note: this spelling is deprecated. Write: {rewritten}"


def _parsed(words: Sequence[str]) -> Line:
    found, left = Line(), list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            found.arguments.append(word)
            continue
        name, given, value = word.partition("=")
        if given and name.startswith("--"):
            found.options.append((name, [value]))
        else:
            count = 0 if word in SWITCHES else 2 if word == "--set" else 1
            found.options.append((word, left[:count]))
            del left[:count]
    return found


def _one(line: Line, *modes: str) -> str | None:
    found = [mode for mode in modes if line.has(mode)]
    if len(found) > 1:
        raise RequestError(f"{' and '.join(found)} exclude each other. Give one of them.")
    return found[0] if found else None


def _label(line: Line, _: Words) -> list[Words]:
    run = line.arguments
    mode = _one(line, "--set", "--pin", "--unpin", "--reject", "--find")
    if mode == "--find":
        return [["search", *run, *line.take(mode), *line.rest()]]
    if mode is not None:
        return [[mode.removeprefix("--"), *run, *line.take(mode), *line.rest()]]
    concepts, asking = line.take("--concepts"), line.has("--chat-model", "--clip", "--judge-model")
    kind = "words" if line.has("--clip") and not line.has("--chat-model") else "ask"
    if not concepts:
        return [[kind, *run, *line.rest()]]
    if not asking:
        return [["check", *run, *concepts, *line.rest()]]
    own = ("--model", "--weights", *(("--device",) if kind == "ask" else ()))
    ask = [kind, *run, *line.rest(*own)]
    line.options = [each for each in line.options if each[0] in ("--device", *own, *SWITCHES)]
    line.take("--dry-run")
    return [
        ask,
        ["check", *run, *concepts, *line.rest("--sheet", "--no-validation", "--no-constant")],
    ]


def _sweep(line: Line, words: Words) -> list[Words]:
    mode = _one(line, "--status", "--merge")
    if mode is None:
        return [["run", *words]]
    return [[mode.removeprefix("--"), *line.arguments, *line.take(mode), *line.rest()]]


def _atlas(line: Line, words: Words) -> list[Words]:
    modes = ("--shared", "--like", "--serving", "--nearest", "--shortcuts", "--changed", "--pages")
    mode = _one(line, *modes)
    if mode is None:
        return [["query", *words]]
    given = line.take(mode)
    if mode == "--shared":
        given = [part.strip() for text in given for part in text.split(",") if part.strip()]
    if mode == "--pages":
        return [["map", *line.arguments, "--out", *given, *line.rest()]]
    return [[mode.removeprefix("--"), *line.arguments, *given, *line.rest()]]


def _debug(_: Line, words: Words) -> list[Words]:
    return [
        ["--ablation" if word == "--by" else _named(word, "--by", "--ablation") for word in words]
    ]


def _evaluate(line: Line, words: Words) -> list[Words]:
    of_model = any(":" in word for word in line.arguments[:1])
    found: Words = []
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        if of_model and word == "--out" and Path(after).suffix not in (".html", ".htm"):
            found.append("--run")
        else:
            found.append("--out" if word == "--report" else _named(word, "--report", "--out"))
    return [found]


def _named(word: str, old: str, new: str) -> str:
    """Rewrite ``--old=value`` as ``--new=value``."""
    return new + word.removeprefix(old) if word.startswith(f"{old}=") else word


_REWRITE: Mapping[str, Callable[[Line, Words], list[Words]]] = {
    "label": _label,
    "sweep": _sweep,
    "atlas": _atlas,
    "debug": _debug,
    "evaluate": _evaluate,
}
