"""``neurflow label``: words for groups, by a model, a vocabulary or by hand, and their worth."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from neurflow.cli._model_of import ModelAgain, WeightsAgain
from neurflow.cli._modes import Given
from neurflow.cli._options import Debug, Device, Json, Run
from neurflow.cli._terminal import terminal
from neurflow.errors import RequestError

_MODEL, _CLIP, _HAND, _BUDGET = "By a model", "By a vocabulary", "By hand", "Cost"


def _option(*names: str, panel: str | None = None, **rest: Any) -> Any:
    return typer.Option(
        *names, rich_help_panel=panel, show_default=rest.pop("shown", False), **rest
    )


def label(
    context: typer.Context,
    run: Run,
    chat_model: Annotated[
        str | None,
        _option(metavar="NAME", help="Model to ask, as its server calls it.", panel=_MODEL),
    ] = None,
    base_url: Annotated[
        str | None,
        _option(
            metavar="URL",
            help="Server that speaks OpenAI's protocol, e.g. http://localhost:11434/v1.",
            panel=_MODEL,
        ),
    ] = None,
    key_env: Annotated[
        str | None,
        _option(
            metavar="NAME",
            help="Environment variable that holds the key.",
            panel=_MODEL,
            shown="OPENAI_API_KEY; with --base-url none is sent",
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        _option(metavar="FILE", help="File that holds the key instead.", panel=_MODEL),
    ] = None,
    judge_model: Annotated[
        str | None,
        _option(metavar="NAME", help="Another model to validate the labels.", panel=_MODEL),
    ] = None,
    sheet: Annotated[
        bool,
        _option(
            "--sheet",
            help="Send one picture a request, for servers that take no more.",
            panel=_MODEL,
        ),
    ] = False,
    workers: Annotated[
        int, _option(min=1, help="Requests under way at the same time.", panel=_MODEL, shown=True)
    ] = 4,
    rate: Annotated[
        float | None, _option(min=0.01, help="Requests a minute, at most.", panel=_MODEL)
    ] = None,
    timeout: Annotated[
        float, _option(min=0.1, help="Seconds for one request.", panel=_MODEL, shown=True)
    ] = 120.0,
    retries: Annotated[
        int, _option(min=0, help="Times that a request is tried again.", panel=_MODEL, shown=True)
    ] = 5,
    answer_tokens: Annotated[
        int, _option(min=50, help="Longest answer in tokens.", panel=_MODEL, shown=True)
    ] = 2000,
    budget: Annotated[
        float | None,
        _option(min=0, help="Money to spend at most; needs the prices.", panel=_BUDGET),
    ] = None,
    price_in: Annotated[
        float, _option(min=0, help="Price of a million tokens sent.", panel=_BUDGET)
    ] = 0.0,
    price_out: Annotated[
        float, _option(min=0, help="Price of a million tokens answered.", panel=_BUDGET)
    ] = 0.0,
    max_requests: Annotated[
        int | None,
        _option(min=0, help="Requests to send at most, retries included.", panel=_BUDGET),
    ] = None,
    max_tokens: Annotated[
        float | None, _option(min=0, help="Tokens to use at most, in and out.", panel=_BUDGET)
    ] = None,
    dry_run: Annotated[
        bool,
        _option("--dry-run", help="Estimate what it would cost, and send nothing.", panel=_BUDGET),
    ] = False,
    clip: Annotated[
        str | None,
        _option(
            metavar="FOLDER|NAME",
            help="A CLIP-style model, from a folder or the hub: labels without asking anyone.",
            panel=_CLIP,
        ),
    ] = None,
    vocabulary: Annotated[
        Path | None, _option(metavar="FILE", help="Its words, one a line.", panel=_CLIP)
    ] = None,
    template: Annotated[
        str, _option(metavar="TEXT", help="What a word is put into.", panel=_CLIP, shown=True)
    ] = "a photo of {}",
    find: Annotated[
        str | None,
        _option(
            metavar="TEXT",
            help="Search groups: in their labels, or with --clip by what their crops look like.",
        ),
    ] = None,
    set_: Annotated[
        tuple[str, str] | None,
        _option(
            "--set", metavar="GROUP WORDS", help="Name a group; the name is pinned.", panel=_HAND
        ),
    ] = None,
    caption: Annotated[
        str | None, _option(metavar="TEXT", help="A sentence to go with --set.", panel=_HAND)
    ] = None,
    pin: Annotated[
        list[str] | None, _option(metavar="GROUP", help="Keep machines off its label.", panel=_HAND)
    ] = None,
    unpin: Annotated[
        list[str] | None,
        _option(metavar="GROUP", help="Let machines change it again.", panel=_HAND),
    ] = None,
    reject: Annotated[
        list[str] | None,
        _option(metavar="GROUP", help="Take its label away, never to be given again.", panel=_HAND),
    ] = None,
    author: Annotated[
        str | None,
        _option(metavar="NAME", help="Who says so.", shown="the login name", panel=_HAND),
    ] = None,
    group: Annotated[
        list[str] | None, _option(metavar="GROUP", help="Label this group alone; may be repeated.")
    ] = None,
    layer: Annotated[
        list[str] | None, _option(metavar="LAYER", help="Label the groups of this layer alone.")
    ] = None,
    shown: Annotated[
        int, _option(min=1, help="Crops of a group that the labeler sees.", shown=True)
    ] = 12,
    held_out: Annotated[
        int, _option(min=1, help="Crops kept from it, for the validation.", shown=True)
    ] = 12,
    no_validation: Annotated[
        bool, _option("--no-validation", help="Do not validate the labels.")
    ] = False,
    no_constant: Annotated[
        bool,
        _option("--no-constant", help="Do not compare them with the target's name as a label."),
    ] = False,
    concepts: Annotated[
        Path | None,
        _option(
            metavar="FOLDER",
            help="Check labels against pictures in folders named after concepts; needs the model.",
        ),
    ] = None,
    model: ModelAgain = None,
    weights: WeightsAgain = None,
    device: Device = "cpu",
    seed: Annotated[int, _option(min=0, help="Seed of the choice of crops.", shown=True)] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Name the groups of a result, and test the names on crops that the labeler did not see.

    A model: --chat-model gpt-4o, or --chat-model qwen2.5vl --base-url http://localhost:11434/v1.
    Without one: --clip FOLDER --vocabulary words.txt. By hand: --set layer4/3 "round eyes".

    Stopped half-way, the same command goes on where it was.
    """
    with terminal(as_json, debug, resumable=True) as ui:
        from neurflow.circuit import load_circuit
        from neurflow.circuit.reload import reload_model
        from neurflow.cli import _labelling as work
        from neurflow.labels import Budget, Prices, Settings

        work.check_modes(Given(context))
        circuit = load_circuit(run)
        if set_ or pin or unpin or reject:
            who = author or getpass.getuser()
            changes = work.changes(set_, caption, pin or [], unpin or [], reject or [], who)
            ui.result(*work.by_hand(run, changes))
            return
        words = work.Words(clip, vocabulary, template, device)
        if find is not None:
            ui.result(*work.found(circuit, find, words))
            return
        if not (chat_model or clip or judge_model or concepts):
            raise RequestError(
                "Who gives the labels? A model: --chat-model gpt-4o. A vocabulary: --clip FOLDER "
                '--vocabulary words.txt. You: --set GROUP "words".'
            )
        spending = Budget(
            max_requests, max_tokens, budget, Prices(input=price_in, output=price_out)
        )
        settings = Settings(
            shown=shown,
            held_out=held_out,
            validated=not no_validation,
            constant=not no_constant,
            seed=seed,
            workers=workers,
        )
        endpoint = {
            "base_url": base_url,
            "key_env": key_env,
            "key_file": key_file,
            "budget": spending,
            "timeout": timeout,
            "retries": retries,
            "rate": rate,
            "answer_tokens": answer_tokens,
        }
        task = work.Task(run, circuit, work.chosen(circuit, group or [], layer or []), settings)
        if chat_model or clip or judge_model:
            pair = work.labelers(run, chat_model, judge_model, words, endpoint, sheet)
            estimated = task.estimate(*pair, spending)
            if dry_run:
                ui.result(*estimated)
                return
            ui.note(estimated[1].plain)
            task.label(*pair, ui.progress)
        if concepts is not None and task.stopped is None:
            loaded = reload_model(circuit, model, weights=weights, device=device)
            task.check(concepts, loaded, ui)
        ui.result(*task.result(spending))
        task.fail_if_incomplete()
