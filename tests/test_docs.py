"""The documentation without building it: contents, links, and every command line that it shows."""

import ast
import importlib
import inspect
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import typer.main

import neurflow
from neurflow.cli import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]

FENCE = re.compile(r"^([ \t]*)(`{3,})(.*?)^\1\2[ \t]*$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.M)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and MyST make them."""
    found: Counter[str] = Counter()
    for heading in HEADING.findall(prose(path)):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found[slug] += 1
    return {slug if not i else f"{slug}-{i}" for slug, n in found.items() for i in range(n)}


def test_every_page_is_in_a_table_of_contents():
    listed = {DOCS / "index.md"}
    for page in PAGES:
        for _, _, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if block.startswith("{toctree}"):
                lines = [line.strip() for line in block.splitlines()[1:]]
                entries = [line for line in lines if line and not line.startswith(":")]
                listed |= {(page.parent / f"{entry}.md").resolve() for entry in entries}
    assert sorted(map(name, PAGES)) == sorted(map(name, listed))


def test_the_site_embeds_every_kind_of_page():
    used = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    source = (DOCS / "_ext" / "live_pages.py").read_text(encoding="utf-8")
    made = re.findall(r'^    "(\w+)": "[\w/]+\.html",$', source, re.M)
    assert sorted(made) == sorted(set(re.findall(r"\{live-page\} (\w+)", used)))


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_have_targets(path):
    for link in LINK.findall(prose(path)):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            assert anchor in anchors(target), f"{link}: there is no such heading"


def command_lines(path: Path) -> list[list[str]]:
    """The words after ``neurflow`` of every command line in a fenced block."""
    lines = []
    for _, _, block in FENCE.findall(path.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"\s*(\$ )?neurflow ", line) and "…" not in line:
                lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
                lexer.wordchars += "$,:@%+[]"
                words = [word for word in lexer if word != "$"]
                ends = [i for i, word in enumerate(words) if set(word) <= set("|>&;")]
                starts = [-1, *ends]
                pieces = [words[i + 1 : j] for i, j in zip(starts, [*ends, None], strict=True)]
                lines += [piece[1:] for piece in pieces if piece[:1] == ["neurflow"]]
    return lines


def parse(words: list[str]) -> None:
    """Parse a command line as far as it can be without running it."""
    command, path = typer.main.get_command(app), "neurflow"
    context = None
    while True:
        context = command.make_context(path, list(words), parent=context)
        if not hasattr(command, "commands"):
            return
        rest = [*getattr(context, "_protected_args", []), *context.args]
        path, command, words = command.resolve_command(context, rest)


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_command_lines_parse(path):
    for words in command_lines(path):
        try:
            parse(words)
        except typer.TyperException as error:
            pytest.fail(f"neurflow {shlex.join(words)}: {error.format_message()}")


def test_wrong_command_lines_are_detected():
    with pytest.raises(typer.TyperException, match="No such option"):
        parse(["discover", "torchvision:resnet18", "photos/", "--tagret", "bee"])


EXAMPLES = ["audit", "compare", "debug", "discover", "evaluate", "label", "load_circuit"]
EXAMPLES += ["load_images", "load_model", "sweep"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_in_docstrings_use_existing_parameters(name):
    _, found, code = inspect.getdoc(getattr(neurflow, name)).partition("Example::\n")
    assert found
    calls = [
        node for node in ast.walk(ast.parse(inspect.cleandoc(code))) if isinstance(node, ast.Call)
    ]
    ours = [call for call in calls if ast.unparse(call.func) == f"neurflow.{name}"]
    assert ours
    for call in ours:
        keywords = {keyword.arg: None for keyword in call.keywords}
        inspect.signature(getattr(neurflow, name)).bind(*call.args, **keywords)


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    assert [name for name in neurflow.__all__ if f"neurflow.{name}" not in text] == []


def imports(path: Path) -> list[tuple[str, str]]:
    """Module and name of everything that the cells of a tutorial import from the package."""
    found = []
    for _, _, block in FENCE.findall(path.read_text(encoding="utf-8")):
        if block.startswith("{code-cell}"):
            lines = [line for line in block.splitlines()[1:] if not line.startswith(":")]
            tree = ast.parse("\n".join(lines))
            nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            found += [(node.module or "", name.name) for node in nodes for name in node.names]
    return [(module, name) for module, name in found if module.startswith("neurflow")]


@pytest.mark.parametrize("path", sorted((DOCS / "tutorials").glob("*.md")), ids=name)
def test_imports_of_tutorials_exist(path):
    for module, imported in imports(path):
        assert hasattr(importlib.import_module(module), imported), (
            f"from {module} import {imported}"
        )
