"""`prodtop plan compare`: the same figures as text, JSON, CSV, Markdown and HTML."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from prodtop.engine.planner.compare.comparison import SCENARIOS
from prodtop.engine.planner.cost.hardware import known_gpus
from prodtop.engine.planner.question.option import Option
from prodtop.engine.planner.question.options import COMPARE_OPTIONS
from prodtop.engine.planner.question.tuning_options import RUN_OPTIONS
from prodtop.tui.commands.main import run
from prodtop.tui.commands.plan_compare import SUFFIXES, compared, write_tables

ASKED = ["plan", "compare", "--model", "generic-1b", "--gpus", "8,1", "--batch", "64"]
KEYS = ["strategies", "characteristics", *(f"scenario-{name}" for name in SCENARIOS), "gpu_types"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every format of the same question."""
    folder = tmp_path_factory.mktemp("compared")
    given = {"model": "generic-1b", "gpus": "8,1", "batch": "64", "price": "3"}
    texts = {option.key: option.default for option in COMPARE_OPTIONS} | given
    found = compared(texts)
    for suffix in SUFFIXES:
        write_tables(found, folder / f"found{suffix}")
    return folder


def test_the_text_has_all_tables_and_a_file_is_written_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "found.csv"
    assert run([*ASKED, "--out", str(path)]) == 0
    assert path.read_text().startswith("table,row,figure,value\nstrategies,1,strategy,Data\n")
    output = capsys.readouterr()
    assert output.err == ""
    for words in (
        "generic-1b, 1.14B on H100 SXM 80GB",
        "Karp and Flatt",
        "What the strategies are",
        "generic-70b on 32 GPUs",
        "score = 0.4 × scaling efficiency + 0.3 × (1 − communication) + 0.3 × memory efficiency.",
        "By score: ",
        "By time: ",
        "RTX 4090 24GB",
        "a TPU: memory, bandwidth and peak",
    ):
        assert words in output.out


def test_json_has_plain_values(folder: Path) -> None:
    found = json.loads((folder / "found.json").read_text())
    assert list(found) == ["schema_version", *KEYS]
    rows = found["strategies"]
    assert [row["gpus"] for row in rows] == [1, 8] * 5
    assert all(0 < row["scaling_efficiency"] < 1.1 for row in rows)
    assert {row["gpu"] for row in found["gpu_types"]} == {gpu.name for gpu in known_gpus().values()}
    types = {row["gpu"]: row for row in found["gpu_types"]}
    h100 = types["H100 SXM 80GB"]
    assert h100["cost_usd"] == pytest.approx(h100["training_s"] / 3600 * 8 * 3.0)
    assert types["TPU v5e 16GB"]["energy_j"] is None, "no power is stated"
    for row in found["scenario-generic-7b"]:
        assert (row["rank_by_time"] is None) is (not row["fits"])


def test_csv_has_every_figure_of_the_json(folder: Path) -> None:
    found = json.loads((folder / "found.json").read_text())
    with (folder / "found.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(dict.fromkeys(row["table"] for row in rows)) == KEYS
    for row in rows:
        value = found[row["table"]][int(row["row"]) - 1][row["figure"]]
        if isinstance(value, float):
            assert float(row["value"]) == value
        else:
            assert row["value"] == ("" if value is None else str(value))


def test_markdown_has_as_many_cells_in_each_row(folder: Path) -> None:
    text = (folder / "found.md").read_text()
    blocks = text.split("## ")[1:]
    assert len(blocks) == len(KEYS)
    for block in blocks:
        widths = {line.count(" | ") for line in block.splitlines() if line.startswith("|")}
        assert len(widths) == 1


def test_html_is_one_file_with_every_table(folder: Path) -> None:
    text = (folder / "found.html").read_text()
    page = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    assert len(page.findall(".//table")) == len(KEYS)
    assert "http" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpus", "8,0"], "--gpus: must be a positive whole number"),
        (["--gpus", "8,x"], "--gpus: must be a positive whole number"),
        (["--out", "found.txt"], "--out found.txt: must end with .csv, .md, .html, .json"),
        (["--gpu", "a100 pcie"], "nearest are a100-40, a100-80"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_no_file_is_written_where_the_question_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    assert run(["plan", "compare", "--model", "nothing", "--out", str(path)]) == 2
    assert not path.exists()


@pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda option: option.key)
def test_options_of_a_run_that_is_not_compared_are_refused(
    option: Option[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*ASKED, option.argument, "1"]) == 2
    assert option.argument in capsys.readouterr().err
