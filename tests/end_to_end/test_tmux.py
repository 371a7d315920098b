"""The installed `prodtop` in a real terminal, over the real engine: what a user does and sees."""

import os
import re
import shutil
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from prodtop.engine.protocol import PrecisionName, StrategyName
from tmux import PRODTOP, Pane, prodtop

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="tmux is not installed: these tests drive prodtop in it"
)

SMALL, LARGE = (80, 24), (160, 48)
CPU_PRECISIONS = [name for name in PrecisionName if name is not PrecisionName.FP8]
TOKENS_PER_S = re.compile(r"decode +([\d.,]+)(k?) tok/s")
COUNTED = re.compile(r"(\d+) finished [·+] (\d+) failed")


def tiny(folder: Path, *more: str) -> list[str]:
    """Arguments for a small load on the tiny model, on one thread."""
    return ["--model", str(folder), "--threads", "1", "--users", "2", *more]


def tokens_per_s(text: str) -> float:
    """The figure beside `decode`; 0 where there is none."""
    found = TOKENS_PER_S.search(text)
    if found is None:
        return 0.0
    return float(found[1].replace(",", "")) * (1000 if found[2] else 1)


def streamed_text(text: str) -> str:
    """What stands inside the frame of the Stream panel."""
    lines = text.splitlines()
    for top, line in enumerate(lines):
        title = line.find("─ Stream")
        if title < 0:
            continue
        left, right = title - 1, line.index("╮", title)
        inside = []
        for row in lines[top + 1 :]:
            if row[left : left + 1] != "│":
                break
            inside.append(row[left + 1 : right].strip())
        return " ".join(inside).strip()
    return ""


def finished(text: str) -> int:
    found = COUNTED.search(text)
    return int(found[1]) if found else 0


def serves_on(pane: Pane) -> None:
    """Return once more requests have finished than now."""
    before = finished(pane.text)
    pane.until(lambda text: finished(text) > before)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x48"])
def test_text_streams_and_keys_reach_every_strategy_and_precision(
    size: tuple[int, int], tiny_folder: Path
) -> None:
    with prodtop(*size, *tiny(tiny_folder, "--precision", "fp32")) as pane:
        pane.shows("tok/s")
        pane.until(tokens_per_s)
        first = streamed_text(pane.until(streamed_text))
        pane.until(lambda text: streamed_text(text) not in ("", first))

        names = [StrategyName.HYBRID, *StrategyName]
        for key, (old, new) in enumerate(pairwise(names), start=1):
            pane.press(str(key))
            pane.shows(f"[{key} {new}]")
            pane.shows(f"strategy: {old} → {new}")
            serves_on(pane)

        for new in CPU_PRECISIONS[1:]:
            pane.press("]")
            pane.shows(f"[{new}]")
            # Quick changes are told in one line, from where they began.
            pane.matches(rf"precision: \w+ → {new}\b")
            serves_on(pane)

        pane.press("]")
        pane.shows("fp8 needs a GPU")
        found = COUNTED.search(pane.shows("[int4]"))
        assert found is not None
        assert int(found[2]) == 0


def test_a_killed_worker_is_seen_counted_and_replaced(tiny_folder: Path) -> None:
    with prodtop(*SMALL, *tiny(tiny_folder)) as pane:
        pane.until(lambda text: finished(text) > 3)
        worker = pane.worker()
        os.kill(worker.pid, signal.SIGKILL)
        pane.matches(r"[12] failed")
        pane.shows("tok/s")
        serves_on(pane)
        assert pane.worker().pid != worker.pid

        pane.press("e")
        log = pane.shows("worker killed by SIGKILL")
        assert re.search(r"worker killed by SIGKILL: [12] requests? failed, restarting", log)
        assert f"worker started again (process {pane.worker().pid})" in log


def test_a_snapshot_is_a_pair_of_files_that_can_be_listed(
    tiny_folder: Path, tmp_path: Path
) -> None:
    with prodtop(*SMALL, *tiny(tiny_folder)) as pane:
        pane.until(tokens_per_s)
        pane.press("s")
        pane.shows("(figures) and .svg (picture) in")
        pane.press("q")
        left = pane.shows("ended with 0")
    folder = tmp_path / "xdg-data" / "prodtop" / "snapshots"
    data, picture = sorted(folder.iterdir(), key=lambda path: path.suffix)
    assert (data.suffix, picture.suffix) == (".json", ".svg")
    assert data.stem == picture.stem
    assert picture.read_text().startswith("<svg")
    # The pane breaks long lines.
    assert data.name in left.replace("\n", "")
    listed = subprocess.run([PRODTOP, "snapshot", "list"], capture_output=True, text=True)
    assert data.stem in listed.stdout


def test_help_lists_the_keys_and_q_leaves_nothing_behind(tiny_folder: Path) -> None:
    with prodtop(*SMALL, *tiny(tiny_folder)) as pane:
        pane.shows("tok/s")
        worker = pane.worker()
        pane.press("?")
        pane.shows("Serve with the single strategy")
        pane.press("Escape")
        pane.until(lambda text: "Serve with the single strategy" not in text)
        pane.press("q")
        left = pane.shows("ended with").split("\n")
        assert left[0].startswith("prodtop  00:")
        assert re.fullmatch(r"  requests  \d+ finished, 0 failed, 0 rejected", left[1])
        assert re.fullmatch(r"  tokens    [\d,]+ generated", left[2])
        assert left[3].startswith("  best      ")
        assert left[4] == "ended with 0"
        assert not worker.is_running()


def test_a_terminal_that_is_too_small_says_so_until_it_is_not(tiny_folder: Path) -> None:
    with prodtop(50, 12, *tiny(tiny_folder)) as pane:
        pane.shows("50x12 is too small: prodtop needs 60x18")
        pane.resize(*SMALL)
        pane.until(tokens_per_s)
        assert "too small" not in pane.text


def test_an_unknown_model_leaves_one_line(tiny_folder: Path) -> None:
    with prodtop(*SMALL, "--model", "nowhere") as pane:
        left = pane.shows("ended with").strip().splitlines()
        message = " ".join(left[:-1])
        assert message.startswith("prodtop: no model 'nowhere'")
        assert left[-1] == "ended with 2"


def test_the_bundled_model_streams_words_without_any_option() -> None:
    with prodtop(*LARGE) as pane:
        pane.shows("bundled")
        pane.until(tokens_per_s)
        pane.until(lambda text: len(re.findall(r"\b[a-z]{3,}\b", streamed_text(text))) > 12)
