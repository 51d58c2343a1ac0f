"""Mutations of valid inputs: damaged bytes, rewritten JSON values, and bombs.

Everything is drawn from a ``random.Random``, so a seed always gives the same inputs.
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
"""one input in this many is a bomb"""


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Damage bytes in one to four places, in most cases a few bytes each."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.randrange(len(made) + 1)
        length = min(rng.choice((1, 1, 2, 4, 8, 64, 1024)), len(made) - place)
        match rng.randrange(7):
            case 0:
                made[place : place + length] = rng.randbytes(length)
            case 1 if length:
                made[place] ^= 1 << rng.randrange(8)
            case 2:
                made[place:place] = rng.choice(NASTY)
            case 3:
                made[place : place + length] = b""
            case 4:
                made[place:place] = made[place : place + length] * rng.choice((1, 2, 50))
            case 5:
                made[place : place + length] = rng.choice(NASTY)
            case _:
                del made[place:]
    return bytes(made)


def rewritten(value: Any, rng: random.Random) -> Any:
    """Return a copy of a JSON value with one to three random changes."""
    made = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 3))):
        parent, key = _place(made, rng)
        if parent is None:
            return _value(rng)
        match rng.randrange(6):
            case 0 | 1:
                parent[key] = _value(rng)
            case 2:
                del parent[key]
            case 3:
                other, name = _place(made, rng)
                parent[key] = copy.deepcopy(other[name]) if other is not None else made
            case 4 if isinstance(parent, list):
                parent[key:key] = parent[key : key + 1] * rng.choice((1, 2, 100))
            case 4:
                parent[rng.choice(("", "extra", "__class__", str(key) * 2))] = parent.pop(key)
            case _:
                parent[key] = _near(parent[key], rng)
    return made


def _value(rng: random.Random) -> Any:
    """Return a copy of one of ``VALUES``. Later changes must not alter the original."""
    return copy.deepcopy(rng.choice(VALUES))


def _place(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a random container inside a value and one of its keys; None if there is none."""
    parent, key = None, None
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        parent, value = value, value[key]
        if rng.random() < 0.15:
            break
    return parent, key


def _near(value: Any, rng: random.Random) -> Any:
    """Return a value similar to the given one."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + rng.choice((-1, 1, 1000))
    if isinstance(value, float):
        return rng.choice((-value, value * 1e9, 7))
    return (
        damaged(value.encode(errors="replace"), rng).decode(errors="replace")
        if isinstance(value, str)
        else [value]
    )


def json_input(values: Sequence[Any], rng: random.Random) -> bytes:
    """Return a JSON text made from one of some valid values."""
    if rng.randrange(BOMBS) == 0:
        return json_bomb(rng)
    value = rng.choice(values)
    if rng.random() < 0.3:
        return damaged(json.dumps(value).encode(), rng)
    return json.dumps(rewritten(value, rng)).encode()


def json_bomb(rng: random.Random) -> bytes:
    """Return a few MiB of JSON that takes much memory, is deeply nested, or takes long to parse."""
    size = rng.choice((10_000, 100_000, 1_000_000))
    part, around = rng.choice(
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
    return rng.choice((text, f'{{"groups":{text}}}', f'{{"circuit":{text}}}')).encode()
