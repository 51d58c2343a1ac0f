"""Results are displayed by the renderer that is registered for their class."""

from neurflow.runtime import display


class Result:
    pass


class Special(Result):
    pass


def test_a_renderer_is_used_for_its_class_and_subclasses(monkeypatch):
    monkeypatch.setattr(display, "_RENDERERS", {})
    assert display.html(Result()) is None
    display.register("Result", lambda result: f"<p>{type(result).__name__}</p>")
    assert display.html(Result()) == "<p>Result</p>"
    assert display.html(Special()) == "<p>Special</p>"
