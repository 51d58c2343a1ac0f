"""Spellings from before the subcommands still work, with a note on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from neurflow.cli._old_spellings import modern
from neurflow.errors import RequestError
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]

OLD = {
    "label R --chat-model m --base-url=http://a/v1": [
        "label ask R --chat-model m --base-url http://a/v1"
    ],
    "label R --clip c --vocabulary w --json": ["label words R --clip c --vocabulary w --json"],
    "label R --set block/1 eyes --caption c": ["label set R block/1 eyes --caption c"],
    "label --pin a/1 R --pin a/2": ["label pin R a/1 a/2"],
    "label R --unpin a/1": ["label unpin R a/1"],
    "label R --reject a/1 --author me": ["label reject R a/1 --author me"],
    "label R --find eyes --clip c": ["label search R eyes --clip c"],
    "label R --concepts P --model m": ["label check R P --model m"],
    "label R --chat-model c --concepts P --model m --seed 3 --json": [
        "label ask R --chat-model c --seed 3 --json",
        "label check R P --model m --json",
    ],
    "sweep M I --targets all --redo": ["sweep run M I --targets all --redo"],
    "sweep --status D": ["sweep status D"],
    "sweep --merge A --merge B --out D": ["sweep merge A B --out D"],
    "atlas D": ["atlas query D"],
    "atlas D --renew": ["atlas query D --renew"],
    "atlas D SELECT --json": ["atlas query D SELECT --json"],
    "atlas D --shared a,b --without c --by crops": ["atlas shared D a b --without c --by crops"],
    "atlas D --like a:b/1": ["atlas like D a:b/1"],
    "atlas --serving D --top 3": ["atlas serving D --top 3"],
    "atlas D --nearest a --renew": ["atlas nearest D a --renew"],
    "atlas D --shortcuts": ["atlas shortcuts D"],
    "atlas D --changed E": ["atlas changed D E"],
    "atlas D --pages F --map-only": ["atlas map D --out F --map-only"],
    "debug R I --mask a/1 --by mean": ["debug R I --mask a/1 --ablation mean"],
    "evaluate R k --report p.html": ["evaluate R k --out p.html"],
    "evaluate tv:m k --out runs/m --report p.html": ["evaluate tv:m k --run runs/m --out p.html"],
    "show R --debug": ["show R --traceback"],
}
NEW = [
    "label ask R --chat-model m",
    "label --help",
    "sweep merge A B --out D",
    "atlas like D a:b/1",
    "debug R I --ablation mean",
    "evaluate R k --out p.html",
    "evaluate R k --out page",
    "compare A B --by crops",
    "--version",
    "",
]


@pytest.mark.parametrize("old", OLD)
def test_an_old_command_line_is_rewritten(old: str) -> None:
    lines, note = modern(old.split())
    assert [" ".join(line) for line in lines] == OLD[old]
    assert note is not None and all(f"neurflow {line}" in note for line in OLD[old])
    for line in lines:
        assert modern(line) == ([line], None)


@pytest.mark.parametrize("new", NEW)
def test_a_current_command_line_is_not_rewritten(new: str) -> None:
    assert modern(new.split()) == ([new.split()], None)


def test_modes_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(RequestError, match="--pin and --reject exclude each other"):
        modern(["label", "R", "--pin", "a/1", "--reject", "a/1"])


def test_old_spellings_work_with_a_note(neurflow: Run, run_folder: Path) -> None:
    old = neurflow("label", run_folder, "--set", "block/1", "two words", "--author", "a", "--json")
    assert old.code == 0 and json.loads(old.out)["groups"][0]["label"] == "two words"
    assert f"neurflow label set {run_folder} block/1 'two words' --author a" in old.err
    assert neurflow("label", run_folder, "--find", "two", "-q").err == ""
    assert neurflow("show", run_folder, "--debug").code == 0
