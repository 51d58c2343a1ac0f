"""Options of ``neurflow label ask`` and ``neurflow label words``, and the objects they describe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurflow.cli._modes import Given
from neurflow.cli._options import names

if TYPE_CHECKING:
    from neurflow.circuit import Circuit
    from neurflow.labels import Budget, ChatLabeler, Job, Judge, Labeler

_CHAT, _COST, _WORK = "Chat model", "Cost", "Labels and validation"


def option(*names: str, panel: str | None = None, **rest: Any) -> Any:
    """Return an option whose default is shown only if ``shown`` is given."""
    return typer.Option(
        *names, rich_help_panel=panel, show_default=rest.pop("shown", False), **rest
    )


JUDGE = Annotated[
    str | None,
    option(metavar="NAME", help="Another model that validates the labels.", panel=_CHAT),
]
SERVER: dict[str, tuple[Any, Any]] = {
    "judge_model": (JUDGE, None),
    "base_url": (
        Annotated[
            str | None,
            option(
                metavar="URL",
                help="Server that speaks OpenAI's protocol, e.g. http://localhost:11434/v1.",
                panel=_CHAT,
            ),
        ],
        None,
    ),
    "key_env": (
        Annotated[
            str | None,
            option(
                metavar="NAME",
                help="Environment variable with the key.",
                panel=_CHAT,
                shown="OPENAI_API_KEY; none with --base-url",
            ),
        ],
        None,
    ),
    "key_file": (
        Annotated[Path | None, option(metavar="FILE", help="File with the key.", panel=_CHAT)],
        None,
    ),
    "sheet": (
        Annotated[
            bool,
            option(
                "--sheet",
                help="Send one picture per request, for servers that accept only one.",
                panel=_CHAT,
            ),
        ],
        False,
    ),
    "rate": (
        Annotated[
            float | None,
            option(min=0.01, help="Largest number of requests per minute.", panel=_CHAT),
        ],
        None,
    ),
    "timeout": (
        Annotated[float, option(min=0.1, help="Seconds for one request.", panel=_CHAT, shown=True)],
        120.0,
    ),
    "retries": (
        Annotated[
            int, option(min=0, help="How often a request is retried.", panel=_CHAT, shown=True)
        ],
        5,
    ),
    "answer_tokens": (
        Annotated[int, option(min=50, help="Longest answer, in tokens.", panel=_CHAT, shown=True)],
        2000,
    ),
    "budget": (
        Annotated[
            float | None,
            option(min=0, help="Largest amount of money to spend; needs the prices.", panel=_COST),
        ],
        None,
    ),
    "price_in": (
        Annotated[float, option(min=0, help="Price of a million tokens sent.", panel=_COST)],
        0.0,
    ),
    "price_out": (
        Annotated[float, option(min=0, help="Price of a million tokens received.", panel=_COST)],
        0.0,
    ),
    "max_requests": (
        Annotated[
            int | None,
            option(min=0, help="Largest number of requests, retries included.", panel=_COST),
        ],
        None,
    ),
    "max_tokens": (
        Annotated[
            float | None,
            option(min=0, help="Largest number of tokens, sent and received.", panel=_COST),
        ],
        None,
    ),
    "dry_run": (
        Annotated[
            bool,
            option("--dry-run", help="Estimate the cost without sending anything.", panel=_COST),
        ],
        False,
    ),
}
"""options of a chat model: name → (type, default)"""
WORK: dict[str, tuple[Any, Any]] = {
    "group": (
        Annotated[
            list[str] | None,
            option(metavar="GROUP,…", help="Label these groups only.", panel=_WORK),
        ],
        None,
    ),
    "layer": (
        Annotated[
            list[str] | None,
            option(metavar="LAYER,…", help="Label the groups of these layers only.", panel=_WORK),
        ],
        None,
    ),
    "shown": (
        Annotated[
            int,
            option(min=1, help="Crops of a group that the labeler sees.", panel=_WORK, shown=True),
        ],
        12,
    ),
    "held_out": (
        Annotated[
            int,
            option(
                min=1,
                help="Crops of a group that are kept for the validation.",
                panel=_WORK,
                shown=True,
            ),
        ],
        12,
    ),
    "no_validation": (
        Annotated[bool, option("--no-validation", help="Do not validate the labels.", panel=_WORK)],
        False,
    ),
    "no_constant": (
        Annotated[
            bool,
            option(
                "--no-constant",
                help="Do not compare labels with the name of the target.",
                panel=_WORK,
            ),
        ],
        False,
    ),
    "workers": (
        Annotated[
            int, option(min=1, help="Groups labelled at the same time.", panel=_WORK, shown=True)
        ],
        4,
    ),
    "seed": (
        Annotated[
            int,
            option(min=0, help="Seed for the choice of crops.", panel=_WORK, shown=True),
        ],
        0,
    ),
}
"""options for the choice of groups and the validation: name → (type, default)"""


@dataclass(frozen=True)
class LabelOptions:
    """The values of ``SERVER`` and ``WORK`` on a command line."""

    values: dict[str, Any]

    def check(self, given: Given, chat: str) -> None:
        """Raise ``RequestError`` for options that exclude each other or have no effect.

        Args:
            given: the options that were given.
            chat: parameters that name a chat model, one of which the server's options need.
        """
        given.need([chat, "judge_model"], *(set(SERVER) - {"judge_model", "dry_run"}))
        given.one_of("no_validation", "judge_model")
        given.one_of("key_env", "key_file")

    def budget(self) -> Budget:
        """Return the limits on requests, tokens and money."""
        from neurflow.labels import Budget, Prices

        v = self.values
        prices = Prices(input=v["price_in"], output=v["price_out"])
        return Budget(v["max_requests"], v["max_tokens"], v["budget"], prices)

    def chat(self, model: str, run: Path, budget: Budget) -> ChatLabeler:
        """Return a labeler that asks a chat model."""
        from neurflow.labels.api import chat_labeler

        server = ("base_url", "key_env", "key_file", "sheet", "rate", "timeout", "retries")
        options = {name: self.values[name] for name in (*server, "answer_tokens")}
        return chat_labeler(model, run, budget, **options)

    def judge(self, run: Path, budget: Budget) -> Judge | None:
        """Return the model that validates the labels, if it is another one."""
        named = self.values["judge_model"]
        return self.chat(named, run, budget) if named else None

    def job(self, circuit: Circuit, labeler: Labeler, judge: Judge | None) -> Job:
        """Return the job: the groups to label, and the labeler."""
        from neurflow.labels import Job, Settings
        from neurflow.labels.api import chosen_groups

        v = self.values
        settings = Settings(
            shown=v["shown"],
            held_out=v["held_out"],
            validated=not v["no_validation"],
            constant=not v["no_constant"],
            seed=v["seed"],
            workers=v["workers"],
        )
        groups = chosen_groups(circuit, names(v["group"]) or [], names(v["layer"]) or [])
        return Job(circuit, labeler, judge, groups, settings)
