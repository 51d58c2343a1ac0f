"""Inputs made from valid ones: bytes that are damaged, JSON values that are rewritten, and bombs.

Everything is drawn from a ``random.Random``, so a seed gives the same inputs again.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

NASTY = (
    b"\x00",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"-1",
    b"1e999",
    b"NaN",
    b"\\u0000",
    b"../../../etc/passwd",
    b"__import__('os').system('true')",
    b"cos\nsystem\n(S'true'\ntR.",
    b"<script>alert(1)</script>",
    b"\xed\xa0\x80",
    b"%PDF",
    b"%!PS",
    b"{",
    b"[",
    b'"',
    b",",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**30,
    1e308,
    -0.0,
    "",
    "a",
    "0",
    "../../x",
    "/etc/passwd",
    "file:/tmp/x.py:make",
    "__import__('os')",
    "\x00",
    "\u202e",
    "\ud800",
    "x" * 3000,
    [],
    {},
    [[]],
    {"": None},
    "block/0",
    "NaN",
)
BOMBS = 2000
"""one input of so many is a bomb"""


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes with one to four damages, in most cases a few bytes each."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        place = chance.randrange(len(made) + 1)
        length = min(chance.choice((1, 1, 2, 4, 8, 64, 1024)), len(made) - place)
        match chance.randrange(7):
            case 0:
                made[place : place + length] = chance.randbytes(length)
            case 1 if length:
                made[place] ^= 1 << chance.randrange(8)
            case 2:
                made[place:place] = chance.choice(NASTY)
            case 3:
                made[place : place + length] = b""
            case 4:
                made[place:place] = made[place : place + length] * chance.choice((1, 2, 50))
            case 5:
                made[place : place + length] = chance.choice(NASTY)
            case _:
                del made[place:]
    return bytes(made)


def rewritten(value: Any, chance: random.Random) -> Any:
    """A copy of a JSON value in which one to three places hold something else."""
    made = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 3))):
        parent, key = _place(made, chance)
        if parent is None:
            return _value(chance)
        match chance.randrange(6):
            case 0 | 1:
                parent[key] = _value(chance)
            case 2:
                del parent[key]
            case 3:
                other, name = _place(made, chance)
                parent[key] = copy.deepcopy(other[name]) if other is not None else made
            case 4 if isinstance(parent, list):
                parent[key:key] = parent[key : key + 1] * chance.choice((1, 2, 100))
            case 4:
                parent[chance.choice(("", "extra", "__class__", str(key) * 2))] = parent.pop(key)
            case _:
                parent[key] = _near(parent[key], chance)
    return made


def _value(chance: random.Random) -> Any:
    """A copy of one of the values, since what is made from it is rewritten further."""
    return copy.deepcopy(chance.choice(VALUES))


def _place(value: Any, chance: random.Random) -> tuple[Any, Any]:
    """A container inside a value and one of its keys; none if the value has no place."""
    parent, key = None, None
    while isinstance(value, dict | list) and value:
        key = (
            chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        )
        parent, value = value, value[key]
        if chance.random() < 0.15:
            break
    return parent, key


def _near(value: Any, chance: random.Random) -> Any:
    """Something like a value."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + chance.choice((-1, 1, 1000))
    if isinstance(value, float):
        return chance.choice((-value, value * 1e9, 7))
    return (
        damaged(value.encode(errors="replace"), chance).decode(errors="replace")
        if isinstance(value, str)
        else [value]
    )


def json_input(values: Sequence[Any], chance: random.Random) -> bytes:
    """A JSON text made from one of some valid values."""
    if chance.randrange(BOMBS) == 0:
        return json_bomb(chance)
    value = chance.choice(values)
    if chance.random() < 0.3:
        return damaged(json.dumps(value).encode(), chance)
    return json.dumps(rewritten(value, chance)).encode()


def json_bomb(chance: random.Random) -> bytes:
    """Up to a few MiB of JSON that would take much more in memory, lie deep, or take long."""
    size = chance.choice((10_000, 100_000, 1_000_000))
    part, around = chance.choice(
        (
            ("[", ""),
            ("{}", "[]"),
            ('{"a":', ""),
            ("[]", "[]"),
            ("0", "[]"),
            ('""', "[]"),
            ("9", "  "),
        )
    )
    if around == "":
        return (part * size).encode()
    inside = ("" if part == "9" else ",").join([part] * size)
    text = f"{around[0]}{inside}{around[1]}"
    return chance.choice((text, f'{{"groups":{text}}}', f'{{"circuit":{text}}}')).encode()
