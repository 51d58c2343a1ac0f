"""The summary sentence of each table on the evidence page."""

from pydantic import Field

from neurflow.evaluation.result import Chart, Row, Table
from neurflow.pages.evaluation_summary import in_short, typeset
from neurflow.stats import Interval


class Drop(Row):
    group: str = Field(description="id")
    drop: Interval = Field(description="fall of the logit")
    random_drop: float | None = Field(description="the same for random neurons")


def table(*rows, y=("drop", "random_drop")):
    chart = Chart(x="group", y=y, y_label="drop")
    return Table[Drop](protocol="a", title="A", question="?", chart=chart, rows=rows)


def row(drop, random):
    return Drop(group="a/0", drop=Interval(drop, drop - 1, drop + 1), random_drop=random)


def test_the_summary_has_means_ranges_and_comparisons():
    told = in_short(table(row(3.0, 1.0), row(1.0, 2.0), row(-0.5, None)))
    assert told == (
        "drop 1.17 (−0.50 to 3.00), random drop 1.50 (1.00 to 2.00); 3 rows, on average; "
        "drop is larger than random drop in 1 of 2."
    )


def test_one_figure_and_one_row_need_no_comparison():
    assert in_short(table(row(2.0, 1.0), y=("drop",))) == "drop 2.00; 1 row."
    assert in_short(table(row(2.0, 1.0), y=("group",))) == "1 row."


def test_numbers_in_texts_have_a_minus_sign():
    told = typeset("CMD minus that of layer-2: -0.325 (-0.347 to -0.262), p 1e-05.")
    assert told == "CMD minus that of layer-2: −0.325 (−0.347 to −0.262), p 1e-05."


class Accuracy(Row):
    mode: str = Field(description="what is masked")
    method: str = Field(description="how the neurons were chosen")
    tau: int = Field(description="number of neurons")
    accuracy: Interval = Field(description="share of right answers")


def test_named_panels_and_series_are_told_apart_as_in_the_plot():
    chart = Chart(
        x="tau",
        y=("accuracy",),
        series=("method",),
        panel=("mode",),
        largest="tau",
        y_label="accuracy",
    )
    rows = tuple(
        Accuracy(mode=mode, method=method, tau=tau, accuracy=Interval(value, 0.0, 1.0))
        for mode, low in (("masking", 0.1), ("retaining", 0.7))
        for method, value in (("NeurFlow, signed", low), ("random", low + 0.2))
        for tau in (4, 16)
    )
    found = Table[Accuracy](protocol="a", title="A", question="?", chart=chart, rows=rows)
    assert in_short(found) == (
        "masking: NeurFlow signed 0.10, random 0.30; "
        "retaining: NeurFlow signed 0.70, random 0.90; "
        "4 rows, on average."
    )
