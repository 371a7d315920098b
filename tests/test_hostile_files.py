"""Every reader of a file that somebody else may have written, over every file that is hostile.

Each ends at once, with one line that names the file, or as if there were none where a cache is
meant. A list shows the others.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from irregular_files import HOSTILE, IRREGULAR
from prodtop.engine.device.device_file import DeviceFile
from prodtop.engine.files.bounded import read_bounded
from prodtop.engine.files.json_fields import read_json
from prodtop.engine.planner.calibrate.saved import calibration_file, load_saved
from prodtop.engine.planner.cost.hardware import load_gpus
from prodtop.engine.planner.question.question import reference_data
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.records.snapshot import list_snapshots, load_snapshot, save_snapshot
from prodtop.engine.server.guards.settings import ListSettings
from prodtop.engine.server.guards.word_lists import read_list
from prodtop.engine.text.chat_template import load_chat_template
from prodtop.engine.traces.trace_file import check_trace, read_trace
from prodtop.tui.commands.cost_source import read_source
from prodtop.tui.settings.config import load_config
from prodtop.tui.style.theme import load_themes, read_theme
from snapshot_samples import snapshot

LONGEST_S = 20.0
"""Many times what any of them needs on a busy machine; one that hangs takes minutes."""


@dataclass(frozen=True)
class Reader:
    """One reader. `empty`: what it gives where it does not raise, for a file without content."""

    read: Callable[[Path], object]
    empty: object = None


def read_cache(path: Path) -> object:
    return DeviceFile(path, msgspec.json.Decoder(dict[str, dict[str, float]])).read("owner")


def read_guard_list(path: Path) -> object:
    named = path.rename(path.with_name(f"{path.name}.toml"))
    return read_list(str(named), path.parent, ListSettings(name="").actions())


READERS = {
    "JSON of a model": Reader(read_json),
    "theme": Reader(read_theme),
    "config": Reader(lambda path: load_config(path).theme),
    "GPUs": Reader(load_gpus, {}),
    "calibration": Reader(lambda path: load_saved(path).calibrations, {}),
    "snapshot": Reader(load_snapshot),
    "what cost reads": Reader(lambda path: read_source(str(path))),
    "cache": Reader(read_cache, {}),
    "trace": Reader(read_trace),
    "beginning of a trace": Reader(check_trace),
    "list of a guard": Reader(read_guard_list),
}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", READERS)
def test_a_hostile_file_is_one_line_at_once(tmp_path: Path, name: str, hostile: str) -> None:
    path = tmp_path / "hostile.file"
    HOSTILE[hostile](path)
    reader = READERS[name]
    begin_s = time.monotonic()
    try:
        found = reader.read(path)
    except ProdtopError as error:
        line = str(error)
        assert "hostile.file" in line
        assert line.isprintable()
        assert len(line) < 400 + len(str(path))
    else:
        assert found == reader.empty
    assert time.monotonic() - begin_s < LONGEST_S


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_theme_costs_that_theme_alone(tmp_path: Path, hostile: str) -> None:
    HOSTILE[hostile](tmp_path / "hostile.toml")
    bundled = load_themes().themes
    text = read_bounded(Path(__file__).parents[1] / "themes" / "mono.toml", 1 << 20).decode()
    (tmp_path / "mine.toml").write_text(text.replace('name = "mono"', 'name = "mine"'))
    book = load_themes(tmp_path)
    assert set(book.themes) == {*bundled, "mine"}
    (error,) = book.errors
    assert "hostile.toml" in str(error)
    assert str(error).isprintable()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_snapshot_costs_that_snapshot_alone(tmp_path: Path, hostile: str) -> None:
    saved = save_snapshot(snapshot(), "", tmp_path)
    HOSTILE[hostile](tmp_path / "hostile.json")
    listed = list_snapshots(tmp_path)
    assert set(listed) == {saved, tmp_path / "hostile.json"}
    assert load_snapshot(saved) == snapshot()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_calibration_costs_the_planner_nothing_else(hostile: str) -> None:
    calibration_file().parent.mkdir(parents=True)
    HOSTILE[hostile](calibration_file())
    data = reference_data()
    assert data.prices
    assert not data.calibrations
    assert data.problem is None or "calibration.toml" in data.problem


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_cache_is_measured_anew_and_never_waited_for(
    tmp_path: Path, hostile: str
) -> None:
    path = tmp_path / "cache.json"
    HOSTILE[hostile](path)
    regular = path.is_file()
    cache = DeviceFile(path, msgspec.json.Decoder(dict[str, dict[str, float]]))
    assert cache.read("owner") == {}
    cache.write("owner", {"copy": 1.0})
    assert cache.read("owner") == ({"copy": 1.0} if regular else {})
    assert path.is_file() is regular


@pytest.mark.parametrize("hostile", [*IRREGULAR, "a terabyte", "not text"])
def test_a_hostile_template_is_told_when_it_is_used(tmp_path: Path, hostile: str) -> None:
    HOSTILE[hostile](tmp_path / "chat_template.jinja")
    template = load_chat_template(tmp_path)
    assert template is not None
    with pytest.raises(ProdtopError, match=r"chat_template\.jinja"):
        template.render([])
