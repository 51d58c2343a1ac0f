"""The atlas follows changes of its circuits and reads nothing else."""

import json

import pytest

from neurflow.atlas import (
    Atlas,
    nearest,
    renew,
    shared_groups,
)
from neurflow.atlas.files import contents
from neurflow.atlas.schema import VERSION
from neurflow.atlas.tables import up_to_date
from neurflow.circuit import LabelStore, save_robustness
from neurflow.circuit.robustness_file import RobustnessFile
from neurflow.cli import main
from neurflow.errors import RequestError, ResultError
from neurflow.labels.manual import set_label
from neurflow.stats import Interval


@pytest.fixture
def swept(circuits, tmp_path):
    """A sweep's folder with two circuits that are in the atlas."""
    for name in ("c-ant", "c-bee"):
        circuits[name].save(tmp_path / "circuits" / name)
    renew(tmp_path)
    return tmp_path


def test_later_labels_and_measurements_are_read_when_the_atlas_is_opened(swept, circuits):
    id = circuits["c-ant"].layers[0].groups[0].id
    assert len(Atlas(swept).query("SELECT * FROM labels")) == 0
    before = contents(swept / "atlas").entered["c-bee"]
    store = LabelStore(swept / "circuits" / "c-ant")
    store.update(id, lambda group: set_label(group, "wings", author="tester"))
    assert up_to_date(swept / "atlas") == {"c-bee"}
    found = Atlas(swept).query("SELECT label, source, author, pinned FROM labels")
    assert found.values.tolist() == [["wings", "person", "tester", True]]
    stable = RobustnessFile(groups={id: Interval(0.7, 0.5, 0.9)})
    save_robustness(swept / "circuits" / "c-ant", stable)
    (row,) = Atlas(swept).query("SELECT * FROM evidence").to_dict("records")
    assert row == {
        "circuit": "c-ant", "group": id, "measure": "stability",
        "value": 0.7, "low": 0.5, "high": 0.9,
    }  # fmt: skip
    assert contents(swept / "atlas").entered["c-bee"] == before


def test_an_atlas_of_another_version_is_rebuilt(swept):
    (swept / "atlas" / "groups.parquet").write_bytes(b"of another version")
    (swept / "atlas" / "schema.json").write_text('{"schema_version": 1}')
    assert len(Atlas(swept).query("SELECT DISTINCT circuit FROM groups")) == 2
    assert json.loads((swept / "atlas" / "schema.json").read_text()) == {"schema_version": 1}
    renew(swept)
    assert json.loads((swept / "atlas" / "schema.json").read_text()) == {"schema_version": VERSION}


def test_an_atlas_without_its_circuits_is_kept(folder):
    with pytest.raises(ResultError, match="has no circuits for an atlas"):
        renew(folder, whole=True)
    assert len(Atlas(folder).query("SELECT * FROM targets")) == 3


def test_a_damaged_circuit_is_left_out_and_reported(swept, capsys):
    (swept / "circuits" / "c-ant" / "circuit.json").write_text("{")
    with pytest.raises(SystemExit) as ended:
        main(["atlas", "query", str(swept), "--renew"])
    told = capsys.readouterr()
    assert not ended.value.code and "c-bee" in told.out and "c-ant" not in told.out
    assert "c-ant is left out" in told.err


def test_queries_write_nothing(swept, circuits, capsys):
    def tree():
        files = (file for file in sorted(swept.rglob("*")) if file.is_file())
        return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}

    id = circuits["c-ant"].layers[0].groups[0].id
    store = LabelStore(swept / "circuits" / "c-ant")
    store.update(id, lambda group: set_label(group, "wings", author="tester"))
    circuits["c-cat"].save(swept / "circuits" / "c-cat")
    before = tree()
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "atlas",
                str(swept),
                "SELECT circuit, label FROM targets LEFT JOIN labels USING (circuit)",
            ]
        )
    told = capsys.readouterr()
    assert not ended.value.code and "wings" in told.out and "c-cat" in told.out
    assert "2 of 3 circuits are newer than the atlas" in told.err and "--renew" in told.err
    assert tree() == before
    asked = Atlas(swept)
    scratch = asked._scratch
    assert len(asked.query("SELECT * FROM targets")) == 3 and scratch.is_dir()
    asked.close()
    assert not scratch.exists() and tree() == before
    renew(swept)
    assert up_to_date(swept / "atlas") == {"c-ant", "c-bee", "c-cat"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{outside}')",
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM '{outside}'",
        "COPY targets TO '{inside}'",
        "COPY targets TO '{outside}.csv'",
        "ATTACH '{outside}.db'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "DROP VIEW targets",
        "CREATE TABLE x AS SELECT 1",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "SELECT 1; SELECT 2",
        "SELECT * FROM nowhere",
        "SELEC",
        "",
    ],
)
def test_a_query_can_read_only_the_atlas(atlas, folder, tmp_path, sql):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    filled = sql.format(outside=secret, inside=folder / "atlas" / "new.parquet")
    before = sorted(folder.rglob("*"))
    with pytest.raises(RequestError):
        atlas.query(filled)
    assert sorted(folder.rglob("*")) == before
    assert [file.name for file in tmp_path.iterdir()] == ["secret.csv"]
    assert len(atlas.query("SELECT * FROM targets")) == 3


def test_a_missing_atlas_and_another_version_have_different_errors(tmp_path):
    with pytest.raises(ResultError, match="no atlas yet"):
        Atlas(tmp_path)
    (tmp_path / "atlas").mkdir()
    (tmp_path / "atlas" / "schema.json").write_text('{"schema_version": 99}')
    (tmp_path / "atlas" / "targets").mkdir()
    with pytest.raises(ResultError, match="schema version 99"):
        Atlas(tmp_path)
    (tmp_path / "atlas" / "schema.json").write_text("{")
    with pytest.raises(ResultError, match="damaged"):
        Atlas(tmp_path)


def test_errors_for_unknown_names_suggest_similar_ones(atlas):
    with pytest.raises(RequestError, match=r"no circuit 'bees'.*bee"):
        nearest(atlas, "bees")
    with pytest.raises(RequestError, match="at least two circuits"):
        shared_groups(atlas, ["ant"])


@pytest.mark.parametrize(
    "options, words",
    [
        (["query"], "c-ant"),
        (["query", "SELECT target FROM targets ORDER BY target DESC LIMIT 1"], "cat"),
        (["shared", "ant", "bee"], "similarity"),
        (["shared", "ant,bee", "--by", "crops"], "similarity"),
        (["like", "ant:{group}"], "c-bee"),
        (["query", "SELECT * FROM thumbnails"], "webp"),
        (["query", "SELECT * FROM group_vectors"], "vector"),
        (["serving", "--top", "2"], "circuits"),
        (["nearest", "ant"], "c-cat"),
        (["shortcuts"], "spread"),
        (["changed", "{folder}"], "c-bee"),
    ],
)
def test_the_command_prints_text_and_json(folder, circuits, capsys, monkeypatch, options, words):
    monkeypatch.setenv("COLUMNS", "100")
    group = circuits["c-ant"].layers[0].groups[0].id
    question, *rest = [option.format(folder=folder, group=group) for option in options]
    for form in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["atlas", question, str(folder), *rest, *form])
        assert not ended.value.code
        told = capsys.readouterr().out
        assert words in told
        assert not form or isinstance(json.loads(told)["rows"], list)
