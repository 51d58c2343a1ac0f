"""The command-line reference, written from the commands themselves: ``{command-line}`` in a page.

Every command gets a section with its help text, its usage, and its arguments and options. The texts
are those that ``neurflow COMMAND --help`` prints, so the page cannot differ from them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer.main
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from neurflow.cli import app

VERBATIM = "\b"
"""begins a paragraph of help whose lines are kept as they are"""


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every visible command with its path, in the order of the help text."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        if not child.hidden:
            yield from commands(child, (*path, name))


def help_text(text: str) -> Iterator[nodes.Node]:
    """Yield the paragraphs of a help text."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith(VERBATIM):
            kept = paragraph.removeprefix(VERBATIM).strip("\n")
            yield nodes.literal_block(kept, kept, language="text")
        else:
            yield nodes.paragraph("", " ".join(paragraph.split()))


def parameters(command: Any, context: Any) -> nodes.definition_list:
    """Return a list of the arguments and options of a command."""
    items = []
    for parameter in command.params:
        record = None if getattr(parameter, "hidden", False) else parameter.get_help_record(context)
        if record:
            names, text = record
            term = nodes.term("", "", nodes.literal("", names))
            definition = nodes.definition("", nodes.paragraph("", " ".join(text.split())))
            items.append(nodes.definition_list_item("", term, definition))
    return nodes.definition_list("", *items, classes=["command-line"])


def section(root: Any, path: tuple[str, ...], command: Any) -> nodes.section:
    """Return the section of one command."""
    name = " ".join(("neurflow", *path))
    context = root.context_class(command, info_name=name)
    usage = command.get_usage(context).removeprefix("Usage: ")
    return nodes.section(
        "",
        nodes.title("", "", nodes.literal("", name)),
        *help_text(command.help or ""),
        nodes.literal_block(usage, usage, language="text"),
        parameters(command, context),
        ids=[nodes.make_id("-".join(path))],
        names=[name],
    )


class CommandLine(SphinxDirective):
    """The whole command line as sections of the page that holds the directive."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each command."""
        root = typer.main.get_command(app)
        return [section(root, path, command) for path, command in commands(root)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
