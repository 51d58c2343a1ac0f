"""Checks of the test suite itself."""

import importlib
from types import SimpleNamespace

import pytest

from tests import conftest
from tests.waiting import until


@pytest.mark.parametrize(
    "library", ["schemathesis.openapi", "hypothesis.internal", "anyio.streams"]
)
def test_libraries_are_not_recompiled_during_the_run(library):
    loader = importlib.import_module(library).__spec__.loader
    assert type(loader).__name__ == "SourceFileLoader"


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_browser_test_without_a_browser_fails_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(conftest.shutil, "which", lambda _: None)
    marked = SimpleNamespace(get_closest_marker=lambda name: name == "browser")
    with pytest.raises(outcome, match="no browser on the path"):
        conftest.pytest_runtest_setup(marked)


def test_waiting_ends_if_the_condition_cannot_become_true():
    left = iter([False, False, True])
    until(lambda: next(left))
    with pytest.raises(AssertionError, match="process ended before"):
        until(lambda: False, alive=lambda: False)
