"""Recognises a finished run before its network is loaded.

1. When ``discover`` ends, it stores its answer in the run's folder: its output, and a digest of
   everything that the output depends on. These are the options, and the name, size and modification
   time of every given file: weights, class names, pictures.
2. The same command finds the answer and prints it again. If anything differs, or if a file of the
   result has changed since, the network is loaded and the request is compared with that of the run.
3. Code may read any file, so a model of ``file:`` is always loaded. So is a model with random
   weights, and one for pictures that are not all those of a folder (a pattern, a table).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from neurflow import __version__
from neurflow.config import METHOD_VERSION
from neurflow.errors import NeurFlowError
from neurflow.refs import Frozen
from neurflow.runtime.paths import expanded

if TYPE_CHECKING:
    from neurflow.runtime.workspace import Workspace

NAME = "answer"
"""name of the answer in the run's workspace"""
BESIDE = frozenset(["memory", "device", "redo"])
"""options that do not affect the result"""
LIBRARIES = {"hf": "transformers", "onnx": "onnx2torch"}
"""kind of model reference → library of the network, if it has another name"""


class Answer(Frozen):
    """The output of a finished ``discover``.

    Attributes:
        asked: digest of the request.
        result: digest of the files of the result.
        data: output with ``--json``.
        heading: output for people, as rich's markup.
        notes: notes on stderr.
        named: option that names the model, if commands on the result need it.
    """

    asked: str
    result: str
    data: dict[str, Any]
    heading: str
    notes: tuple[str, ...]
    named: str


def asked(model: str, images: Path, target: str, options: Mapping[str, Any]) -> str | None:
    """Return the digest of a request; None if it cannot be known without loading the model."""
    kind, _, name = model.partition(":")
    weights = options.get("weights")
    if kind == "file" or weights == "random" or not images.is_dir():
        return None
    given = (name, weights, options.get("class_names"))
    files = [images, *(expanded(str(each)) for each in given)]
    facts = {
        "versions": [__version__, METHOD_VERSION, _version(LIBRARIES.get(kind, kind))],
        "model": model,
        "target": target,
        "options": {key: value for key, value in options.items() if key not in BESIDE},
        "files": [[str(path.absolute()), *_files(path)] for path in files],
    }
    return _digest(facts)


def recall(folder: Path, asked: str | None) -> Answer | None:
    """Return the answer to the same request, if the folder has it and the result has not changed."""
    if asked is None or not (folder / "work" / f"{NAME}.json").is_file():
        return None
    with contextlib.suppress(NeurFlowError, ValidationError, OSError):
        work = _work(folder)
        answer = Answer.model_validate(work.read(NAME))
        if work.read("finished") and (answer.asked, answer.result) == (asked, result(folder)):
            return answer
    return None


def remember(folder: Path, answer: Answer) -> None:
    """Store an answer beside the result."""
    _work(folder).write(NAME, answer.model_dump(mode="json"))


def result(folder: Path) -> str:
    """Return the digest of the present files of a result, without the workspace."""
    return _digest([file for file in _files(folder) if not file[0].startswith("work" + os.sep)])


def _files(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield (name, size, modification time) of a file, or of all files in a folder and its
    subfolders.
    """
    if path.is_file():
        status = path.stat()
        yield path.name, status.st_size, status.st_mtime_ns
        return
    seen = set()
    for place, folders, names in os.walk(path, followlinks=True):
        folders.sort()
        status = os.stat(place)
        if (here := (status.st_dev, status.st_ino)) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(here)
        for name in sorted(names):
            file = os.path.join(place, name)
            with contextlib.suppress(OSError):  # a broken link
                status = os.stat(file)
                yield os.path.relpath(file, path), status.st_size, status.st_mtime_ns


def _version(library: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError, ValueError):  # ValueError: no name
        return metadata.version(library)
    return None


def _digest(facts: Any) -> str:
    text = json.dumps(facts, default=str, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def _work(folder: Path) -> Workspace:
    from neurflow.runtime.workspace import Workspace  # takes numpy, which help does without

    return Workspace(folder / "work")
