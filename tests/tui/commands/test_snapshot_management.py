"""`prodtop snapshot name`, `export`, `rm` and `open`, and ids that are shortened."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from prodtop.engine.files.paths import recordings_dir, snapshots_dir
from prodtop.engine.records.snapshot import Snapshot, load_snapshot, save_snapshot
from prodtop.tui.commands.main import run
from prodtop.tui.commands.replay import find_played
from recording_samples import recorded_session
from snapshot_samples import compared, quality, snapshot

CURVE = [(float(second), 100.0 + second % 7) for second in range(60)]
PICTURE = (
    Path(__file__).parents[1] / "__snapshots__/test_live_snapshots/test_live_on_a_cpu.svg"
).read_text()


@pytest.fixture
def saved() -> Path:
    whole = snapshot(
        series={"decode_tok_s": CURVE}, quality=quality(), comparison=compared(), label="<b> | noon"
    )
    return save_snapshot(whole, PICTURE)


@pytest.mark.usefixtures("saved")
def test_an_id_may_be_shortened_where_that_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "show", "2023111", "--json"]) == 0
    other = save_snapshot(snapshot(), "<svg/>")
    capsys.readouterr()
    assert run(["snapshot", "show", "2023111", "--json"]) == 2
    assert "may be any of 20231114-221320-hybrid-fp32, " in capsys.readouterr().err
    assert run(["snapshot", "show", "20231114-221320-hybrid-fp32-2", "--json"]) == 0
    assert run(["snapshot", "show", "20231114-221320-hybrid-fp32", "--json"]) == 0, "a whole id"
    assert other.stem.endswith("-2")


def test_naming(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "name", "latest", "the \x1b[2Jspike"]) == 0
    assert load_snapshot(saved).label == "the [2Jspike"
    assert run(["snapshot", "list"]) == 0
    assert "the [2Jspike" in capsys.readouterr().out
    assert run(["snapshot", "name", saved.stem, ""]) == 0
    assert load_snapshot(saved).label == ""
    assert run(["snapshot", "name", "latest", "a" * 500]) == 2
    assert "200 characters at most" in capsys.readouterr().err


def test_removing(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = save_snapshot(snapshot(), "<svg/>")
    assert run(["snapshot", "rm", other.stem, other.stem]) == 2
    assert other.exists()
    assert run(["snapshot", "rm", other.stem, "nothing"]) == 2
    assert other.exists(), "all are found before one is removed"
    capsys.readouterr()
    assert run(["snapshot", "rm", other.stem]) == 0
    assert capsys.readouterr().out == f"removed {other.stem}\n"
    assert {path.name for path in snapshots_dir().iterdir()} == {saved.name, f"{saved.stem}.svg"}
    outside = save_snapshot(snapshot(), "", snapshots_dir().parent)
    assert run(["snapshot", "rm", str(outside)]) == 2, "only what the list shows"
    assert outside.exists()


@pytest.mark.usefixtures("saved")
def test_every_format_by_its_name_and_by_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts: dict[str, str] = {}
    for kind in ("json", "csv", "md", "html", "svg"):
        assert run(["snapshot", "export", "--format", kind]) == 0
        texts[kind] = capsys.readouterr().out
        out = tmp_path / f"a.{kind}"
        assert run(["snapshot", "export", "--out", str(out)]) == 0
        assert out.read_text() == texts[kind]
    assert msgspec.json.decode(texts["json"], type=Snapshot).label == "<b> | noon"
    rows = [line.split(",") for line in texts["csv"].splitlines()]
    place = rows[0].index("decode_tok_s")
    assert [(float(row[0]), float(row[place])) for row in rows[1:]] == CURVE
    assert {row[place + 1] for row in rows[1:]} == {""}, "what was not measured is empty"
    assert "| decode | 123 tok/s |" in texts["md"]
    assert "| name | &lt;b&gt; \\| noon |" in texts["md"]
    assert "hybrid bf16" in texts["md"]
    assert texts["svg"].strip() == PICTURE.strip()


@pytest.mark.usefixtures("saved")
def test_the_page_is_one_file_that_loads_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "export", "--format", "html"]) == 0
    page = capsys.readouterr().out
    ElementTree.fromstring(page.split("\n", 1)[1])
    assert not re.search(r"https?://(?!www\.w3\.org)|<script|<link|@import|href", page)
    assert "&lt;b&gt; | noon" in page
    assert page.count("<svg") >= 2
    assert "Throughput" in page, "the screen is in it"
    assert "perplexity" in page


def test_without_its_picture_the_page_has_the_figures(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved.with_suffix(".svg").unlink()
    assert run(["snapshot", "export", "--format", "html"]) == 0
    assert "123 tok/s" in capsys.readouterr().out
    assert run(["snapshot", "export", "--format", "svg"]) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.usefixtures("saved")
def test_a_png_where_there_is_what_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.png"
    code = run(["snapshot", "export", "--out", str(out)])
    try:
        import resvg_py  # noqa: F401
    except ImportError:
        assert code == 1
        assert "pip install 'prodtop[png]'" in capsys.readouterr().err
        assert not out.exists()
    else:
        assert code == 0
        assert out.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert run(["snapshot", "export", "--format", "png"]) == 2
    assert run(["snapshot", "export", "--format", "gif"]) == 2


@pytest.mark.usefixtures("saved")
def test_a_screen_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "open"]) == 2
    assert "needs a terminal" in capsys.readouterr().err


def test_replay_plays_either(saved: Path) -> None:
    path = recordings_dir() / "20261201-030000.ptop"
    path.parent.mkdir(parents=True)
    recorded_session(path, 2)
    assert find_played("latest") == path
    assert find_played("20261201") == path
    assert find_played("20231114") == saved
    assert find_played(str(saved)) == saved


def test_the_list_says_what_cannot_be_read_as_json(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (snapshots_dir() / "zz.json").write_text('{"schema_version": 9}')
    assert run(["snapshot", "list", "--json"]) == 0
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert good["name"] == saved.stem
    assert "newer prodtop" in bad["error"]
