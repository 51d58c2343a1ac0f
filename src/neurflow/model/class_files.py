"""Reads files with class names, in several common formats.

1. Decode the file by its byte order mark if there is one, else as UTF-8, else as cp1252.
2. A text that begins with ``[`` or ``{`` is JSON or a Python literal: a list of names, or a dict
   index → name or name → index, or ``id2label`` of a model's configuration. A list such as
   ``["n01440764", "tench"]`` in place of a name counts as its last item.
3. A label map of TensorFlow (``.pbtxt``) has items with ``id`` and ``name``.
4. Otherwise, if every line has several columns and one of them counts from 0 or 1, the file is a table
   with an index: CSV, tabs, or a number before or after the name. A first line without a number is
   the header.
5. Otherwise there is one name per line, or one line with commas. Empty lines are ignored.
"""

from __future__ import annotations

import ast
import codecs
import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurflow.errors import ModelError

MAX_BYTES = 16 * 2**20
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is a prefix of it
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_INDEX_COLUMNS = ("id", "index", "class_id", "label_id")
_MAPPINGS = ("id2label", "idx_to_class", "names", "classes", "class_names", "labels", "categories")
_INVERSE_MAPPINGS = ("label2id", "class_to_idx")
_COUNTED = 10
"""smallest number of lines such as ``1 tench`` that are read as a table if they count from 1"""
_NAME_COLUMNS = ("name", "class_name", "class", "label", "category", "classname")


def read_class_names(file: Path) -> list[str]:
    """Read the names in the order of the logits.

    Raises:
        ModelError: the file cannot be read, is not text, or has no names.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ModelError(
            f"There is no file of class names {str(file)!r:.200}. Write one name per line, in the "
            "order of the logits."
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"The class names in {str(file)!r} cannot be read: {error}") from None
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES // 2**20} MiB")
        names = _names(_decoded(data))
        if not names:
            raise ValueError("it has no names")
    except (ValueError, csv.Error) as error:
        raise ModelError(
            f"The class names in {str(file)!r} cannot be read: {error}. "
            "Write one name per line, in the order of the logits."
        ) from None
    return names


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return _text(data.decode(encoding))
    even, odd = data[::2].count(0), data[1::2].count(0)
    if 3 * max(even, odd) > len(data):  # in UTF-16, every second byte of Latin letters is 0
        return _text(data.decode("utf-16-be" if even > odd else "utf-16-le"))
    try:
        return _text(data.decode("utf-8"))
    except UnicodeDecodeError:
        return _text(data.decode("cp1252", errors="replace"))


def _text(text: str) -> str:
    if any(ord(letter) < 32 and letter not in "\t\n\r\f\v\x1c\x1d\x1e\x1f" for letter in text):
        raise ValueError("it is not a text file")
    return text


def _names(text: str) -> list[str]:
    stripped = text.strip()
    if re.match(r"<(!doctype|html|head|\?xml)", stripped, re.IGNORECASE):
        raise ValueError("it is a web page or XML")
    if given := re.fullmatch(r"[A-Za-z_]\w*\s*=\s*([\[({].*)", stripped, re.DOTALL):
        stripped = given[1]  # classes = ["cat", "dog"] in Python or TOML
    if plain := re.fullmatch(r"\[([^\[\]{}\"':]+)\]", stripped):  # a list in YAML: [cat, dog]
        numbers = all(_number(part) is not None for part in plain[1].split(","))
        return _of_data(json.loads(stripped)) if numbers else _split(plain[1])
    # a dict in YAML: {0: cat, 1: dog}
    if plain := re.fullmatch(r"\{([^\[\]{}\"']+:[^\[\]{}\"']+)\}", stripped):
        return _names("\n".join(_split(plain[1])))
    if stripped.startswith(("[", "{", "('", '("')):
        data = _literal(stripped)
        if data is not None:
            return _of_data(data)
    if items := re.findall(r"\bitem\s*:?\s*\{(.*?)\}", text, re.DOTALL):
        return _of_data([_fields(item) for item in items])
    if (block := _yaml_block(text)) is not None:
        return _names(block)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and all(re.match(r"-\s+\S", line) for line in lines):  # a list in YAML
        lines = [line[1:].strip().strip("\"'") for line in lines]
    quoted = [re.fullmatch(r"(['\"])(.*)\1,?", line) for line in lines]
    if lines and all(quoted):
        return [each[2] for each in quoted if each]
    if len(lines) == 1 and "," in lines[0]:
        return _split(lines[0])
    if all(line.endswith(",") for line in lines):
        lines = [line[:-1].rstrip() for line in lines]
    return _of_table(lines) or [line.replace("\t", " ") for line in lines]


def _fields(item: str) -> dict[str, str]:
    """Return the fields of an item of a label map; its ``display_name``, if it has one, is its name."""
    found = re.findall(r"""(\w+)\s*:\s*(?:"([^"]*)"|'([^']*)'|(\S+))""", item)
    fields = {key: one or two or plain for key, one, two, plain in found}
    return {**fields, "name": fields.get("display_name") or fields.get("name", "")}


def _split(text: str) -> list[str]:
    """Return the names in a line of names that are separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _yaml_block(text: str) -> str | None:
    """Return the text under ``names:`` in a YAML file; None if there is no such entry."""
    found = re.search(r"^(?:names|classes|class_names)[ \t]*:[ \t]*(.*)$", text, re.MULTILINE)
    if found is None:
        return None
    if found[1] and not found[1].startswith("#"):
        return found[1]
    below = re.match(
        r"(?:[ \t]*(?:#.*)?\n|[ \t]+.*(?:\n|$)|-[ \t].*(?:\n|$))*", text[found.end() + 1 :]
    )
    lines = [line for line in below[0].splitlines() if line.strip()] if below else []
    lines = [line if line[-1] in "\"'" else re.sub(r"\s#.*", "", line) for line in lines]
    return "\n".join(line for line in lines if not line.lstrip().startswith("#")) or None


def _literal(text: str) -> Any:
    """Parse JSON or a Python literal; None for other text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error) or "it is nested too deeply"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        if text.endswith(("]", "}")) or '"' in text.splitlines()[0]:
            raise ValueError(f"it starts like JSON but is not valid ({reason})") from None
        return None


def _of_data(data: Any) -> list[str]:
    if isinstance(data, Mapping):
        for key in (*_MAPPINGS, *_INVERSE_MAPPINGS):
            if isinstance(data.get(key), Mapping | list):
                return _of_data(data[key])
        return _of_mapping(data)
    if isinstance(data, Sequence | set) and not isinstance(data, str | bytes):
        if isinstance(data, set):
            raise ValueError("a set has no order")
        by_index = [(_index_of(item), _name(item)) for item in data]
        if data and all(index is not None for index, _ in by_index):
            return _by_index(by_index, (0, 1))
        return [name for _, name in by_index]
    raise ValueError(f"it is one {type(data).__name__}, not a list or dict of names")


def _of_mapping(data: Mapping[Any, Any]) -> list[str]:
    """Return names by index, from index → name or name → index."""
    if all(_number(key) is not None for key in data):
        return _by_index([(_number(key), _name(value)) for key, value in data.items()], (0, 1))
    if all(isinstance(value, int) and not isinstance(value, bool) for value in data.values()):
        return _by_index([(value, _name(key)) for key, value in data.items()], (0, 1))
    inside = next(iter(data.values())) if len(data) == 1 else None
    if isinstance(inside, Mapping | list):  # {"label_map": {…}}
        return _of_data(inside)
    raise ValueError("its dict maps neither indices to names nor names to indices")


def _index_of(item: Any) -> int | None:
    """Return the index in a COCO category, ``{"id": 7, "name": "cat"}``; None if there is none."""
    if not isinstance(item, Mapping):
        return None
    return next((_number(item[key]) for key in _INDEX_COLUMNS if key in item), None)


def _name(item: Any) -> str:
    if isinstance(item, list | tuple) and item and isinstance(item[-1], str):
        return item[-1].strip()  # ["n01440764", "tench"]
    if isinstance(item, Mapping):
        named = next((item[key] for key in _NAME_COLUMNS if isinstance(item.get(key), str)), None)
        if named is not None:
            return str(named).strip()
    if isinstance(item, str | int | float) and not isinstance(item, bool):
        return str(item).strip()
    raise ValueError(f"a name must be text, not {type(item).__name__}")


def _by_index(pairs: Sequence[tuple[int | None, str]], starts: Iterable[int]) -> list[str]:
    """Return the names by index; ``ValueError`` if an index is missing."""
    found = {index: name for index, name in pairs if index is not None}
    for start in starts:
        wanted = range(start, start + len(pairs))
        if len(found) == len(pairs) and all(index in found for index in wanted):
            return [found[index] for index in wanted]
    missing = next((i for i in range(len(pairs)) if i not in found), None)
    raise ValueError(f"its indices do not count from 0: {missing} is missing")


def _number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return int(value)
    return None


def _of_table(lines: Sequence[str]) -> list[str] | None:
    """Return names of a table with an index; None if the lines are not such a table."""
    for delimiter in (",", ";", "\t"):
        rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
        names = _of_rows(rows)
        if names is not None:
            return names
    found = [
        re.fullmatch(r"([0-9]{1,9})\s*([-=]>|-(?=\s)|[\s:.)=])\s*(.*\S)", line) for line in lines
    ]
    if all(found):
        certain = len(lines) >= _COUNTED or all(each and each[2].strip() for each in found)
        starts = (0, 1) if certain else (0,)
        names = _counted([[each[1], each[3].strip("\"'")] for each in found if each], 0, 1, starts)
        if names is not None and len(set(names)) == len(names):  # "1 euro", "2 euro" are names
            return names
    found = [re.fullmatch(r"(.*?\S)\s*([-=]>|[:=]|\s)\s*([0-9]{1,9})", line) for line in lines]
    if all(found) and len(lines) > 1:
        certain = all(each and each[2].strip() for each in found)  # "cat 1" may be a name
        rows = [[each[3], each[1].strip("\"'")] for each in found if each]
        names = _counted(rows, 0, 1, (0, 1) if certain else (0,))
        if names is not None and len(set(names)) == len(names):
            return names
    return None


def _of_rows(rows: Sequence[Sequence[str]]) -> list[str] | None:
    if not rows or min(map(len, rows)) < 2:
        return None
    for header in (False, True):
        body = rows[1:] if header else rows
        for place in range(min(map(len, rows))):
            if not body or (header and _number(rows[0][place]) is not None):
                continue
            names = _counted(body, place, _name_column(rows, header, place), (0, 1))
            if names is not None:
                return names
    return None


def _name_column(rows: Sequence[Sequence[str]], header: bool, index: int) -> int:
    """Return the column of the names, by its header or else by its position."""
    width = min(map(len, rows))
    if header:
        called = [cell.strip().casefold() for cell in rows[0][:width]]
        for name in _NAME_COLUMNS:
            if name in called and called.index(name) != index:
                return called.index(name)
    others = [place for place in range(width) if place != index]
    return others[-1] if index == 0 else others[0]


def _counted(
    rows: Sequence[Sequence[str]], place: int, name: int, starts: Iterable[int]
) -> list[str] | None:
    """Return the names, if the column at ``place`` numbers all rows; otherwise None."""
    indices = [_number(row[place]) for row in rows]
    if None in indices:
        return None
    try:
        return _by_index(
            list(zip(indices, (row[name].strip() for row in rows), strict=True)), starts
        )
    except ValueError:
        return None
