"""Reads the files of an untrusted result.

The size of a file is checked before it is read, and the memory that JSON needs is estimated before it
is parsed. Links are refused. Every problem becomes a ``ResultError`` that names the file.
"""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as unpack

from neurflow.errors import MissingResult, ResultError
from neurflow.runtime.files import MEBIBYTE, json_value, read

INDEX = "circuit.json"
LARGEST_JSON = 128 * MEBIBYTE
LARGEST_ARRAYS = 2048 * MEBIBYTE
LARGEST_BESIDE = 64 * MEBIBYTE
MEMORY_OF_BESIDE = 512 * MEBIBYTE
MAX_PROBLEM = 500
"""largest number of characters of the description of a problem"""

F = TypeVar("F", bound=BaseModel)


def read_index(folder: Path) -> bytes:
    """Read ``circuit.json``; ``MissingResult`` if there is none."""
    if not (folder / INDEX).exists():
        raise MissingResult(_nothing_at(folder))
    return read_bytes(folder / INDEX, LARGEST_JSON)


def _nothing_at(folder: Path) -> str:
    if (folder / "work").is_dir():
        return (
            f"The run in {folder} is not finished. Re-run the same discover command to resume it."
        )
    if folder.is_file():
        return f"{folder} is a file, but a result is a folder. Give the folder that was given to --out."
    named = shlex.quote(str(folder))
    return f"There is no result in {folder}. Create one: neurflow discover … --out {named}"


def read_bytes(file: Path, limit: int) -> bytes:
    """Read a plain file of at most ``limit`` bytes; links are refused."""
    try:
        return read(file, limit)
    except OSError as error:
        raise damaged(file, error.strerror or type(error).__name__) from None
    except ValueError as error:
        raise damaged(file, str(error)) from None


def read_tensors(file: Path, limit: int, digest: str) -> dict[str, np.ndarray]:
    """Read the tensors of a safetensors file whose SHA-256 must be ``digest``."""
    data = read_bytes(file, limit)
    if hashlib.sha256(data).hexdigest() != digest:
        raise damaged(file, "its digest differs from the one in circuit.json")
    try:
        return unpack(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise damaged(file, f"not safetensors: {error}") from None


def read_beside(file: Path, kind: type[F]) -> F:
    """Read a file beside ``circuit.json``; return an empty ``kind`` if there is no file."""
    if not file.exists() and not file.is_symlink():
        return kind()
    try:
        return kind.model_validate(json_value(read_bytes(file, LARGEST_BESIDE), MEMORY_OF_BESIDE))
    except ValidationError as error:
        raise damaged(file, first_problem(error)) from None
    except ValueError as error:
        raise damaged(file, str(error)) from None


def first_problem(error: ValidationError) -> str:
    """Return the first problem that pydantic found, in a few words."""
    problem = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, problem["loc"])) or "the whole"
    return f"{where:.80}: {problem['msg']:.120}"


def damaged(file: Path, problem: str) -> ResultError:
    """Return the error for a file that cannot be used.

    The problem may quote the file, so it is shortened, and characters that are not printable are
    replaced.
    """
    text = problem if len(problem) <= MAX_PROBLEM else f"{problem[:MAX_PROBLEM]} …"
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return ResultError(
        f"{file} is damaged or not a result of neurflow: {text}.\n"
        "Copy the folder again from its origin, or create it again with neurflow discover."
    )
