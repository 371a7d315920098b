"""`prodtop cost` over every kind of file: figures against sums worked out here."""

import json
from pathlib import Path

import msgspec
import pytest
from comparisons import cell, comparison, latency, result
from cost_samples import SERVED_WORK, curve, swept
from frames import frame
from prodtop.engine.compare.cells import Comparison, Measured
from prodtop.engine.compare.kept import encode
from prodtop.engine.protocol import Window
from prodtop.engine.records.snapshot import save_snapshot
from prodtop.tui.commands.bench_file import BenchFile
from prodtop.tui.commands.main import run
from recording_samples import recorded_session
from snapshot_samples import snapshot
from usage_samples import usage


def asked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """What `prodtop cost … --json` prints."""
    assert run(["cost", *arguments, "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    (line,) = printed.out.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def rows(found: dict[str, object], name: str) -> list[dict[str, object]]:
    """A list of objects of what was printed."""
    return msgspec.convert(found[name], list[dict[str, object]])


def bench(folder: Path) -> Path:
    """Two runs of one cell and one of another, at 100 W."""
    path = folder / "cells.jsonl"
    file = BenchFile(path)
    for strategy, span_s in (("hybrid", 2.0), ("hybrid", 4.0), ("single", 10.0)):
        used = usage(span_s=span_s, requests=4, energy_j=100.0 * span_s)
        file.add(result(cell(strategy), duration_s=span_s, usage=used))
    file.close(complete=True)
    return path


def test_a_bench_costs_price_times_time_and_its_energy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = ["--price-per-hour", "3.6", "--price-per-kwh", "0.36"]
    found = asked([str(bench(tmp_path)), *prices], capsys)
    assert found["kind"] == "bench"
    cells = found["cells"]
    assert isinstance(cells, list)
    assert [each["cell"] for each in cells] == ["hybrid bf16", "single bf16"]
    # A second costs 0.001 dollars of rent and 0.00001 of energy; four requests each.
    hybrid, single = (each["usd_per_request"]["value"] for each in cells)
    assert hybrid == pytest.approx(3.0 * 0.00101 / 4)
    assert single == pytest.approx(10.0 * 0.00101 / 4)


def test_without_a_price_a_bench_has_its_energy_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked([str(bench(tmp_path))], capsys)
    cells = found["cells"]
    assert isinstance(cells, list)
    assert cells[0]["usd_per_request"] is None
    assert cells[0]["joules_per_request"]["value"] == pytest.approx(75.0)
    assert run(["cost", str(bench(tmp_path))]) == 0
    assert "no price of this device: --price-per-hour" in capsys.readouterr().out


def test_a_comparison_over_loads_says_how_many_gpus_a_target_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "loads.jsonl"
    path.write_bytes(encode(curve()))
    found = asked([str(path), "--target", "120"], capsys)
    (capacity,) = rows(found, "capacity")
    assert capacity["curve_req_s"] == pytest.approx(28.8)
    assert capacity["curve_gpus"] == 5
    assert run(["cost", str(path), "--target", "120"]) == 0
    printed = capsys.readouterr().out
    assert "GPUs for 120 req/s: 5 by the curve" in printed
    assert "28.8 req/s at 32 users" in printed


def test_a_limit_of_the_config_ends_the_curve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "prodtop"
    folder.mkdir()
    (folder / "config.toml").write_text("[slo]\ne2e_ms = 100\n[capacity]\nrequests_per_s = 9\n")
    repeats = [
        Measured(
            cell=cell(users=n), repeats=[result(cell(users=n), req_s=n, e2e_ms=latency(40 * n))]
        )
        for n in (1, 2, 4)
    ]
    path = tmp_path / "loads.jsonl"
    path.write_bytes(encode(comparison(*repeats)))
    found = asked([str(path)], capsys)
    (capacity,) = rows(found, "capacity")
    assert (capacity["curve_load"], capacity["curve_gpus"]) == ("2 users", 5)
    assert capacity["curve_reason"] == "limits missed at 4 users"


def test_a_snapshot_tells_its_window_and_what_would_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = frame()
    made = snapshot(frame=shown, comparison=swept(), load_curve=curve())
    made = msgspec.structs.replace(
        made, settings=msgspec.structs.replace(made.settings, window=Window.M5)
    )
    path = save_snapshot(made, "<svg/>")
    found = asked([path.stem, "--price-per-hour", "2.1"], capsys)
    assert found["kind"] == "snapshot"
    spans = found["spans"]
    assert isinstance(spans, dict)
    assert list(spans) == ["5m", "session"]
    used = shown.usage[Window.M5]
    assert spans["5m"]["device_usd"] == pytest.approx(2.1 * used.span_s / 3600)
    assert spans["5m"]["energy_j"] == used.energy_j
    cells, what_ifs = found["cells"], found["what_ifs"]
    assert isinstance(cells, list)
    assert isinstance(what_ifs, list)
    assert len(cells) == 12
    assert all(each["assumption"] for each in what_ifs)
    assert run(["cost", "latest", "--price-per-hour", "2.1"]) == 0
    printed = capsys.readouterr().out
    assert "what if, per request:" in printed
    assert "by the curve" in printed


def test_a_recording_tells_its_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "session.prodtop"
    recorded_session(path, 6.0)
    found = asked([str(path), "--price-per-hour", "2.1"], capsys)
    assert found["kind"] == "recording"
    spans = found["spans"]
    assert isinstance(spans, dict)
    session = spans["session"]
    # The scripted session ends a poll before its sixth second.
    assert session["device_usd"] == pytest.approx(2.1 * 6.0 / 3600, rel=0.05)
    assert session["energy_j"] == pytest.approx(310.0 * 6.0, rel=0.05)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff\xfe", b"[" * 5000, b'{"output_sha256": "x"}\n', b"SQLite format 3\0junk"],
)
def test_a_file_of_another_kind_is_one_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert run(["cost", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1


def test_absurd_figures_of_a_file_are_no_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a file states, what follows is printed or missing."""
    absurd = [
        Measured(
            cell=cell(users=users),
            repeats=[result(cell(users=users), req_s=req_s, duration_s=1e300, tok_s=1e300)] * 6,
        )
        for users, req_s in ((1, 1e-300), (2, 0.0), (3, 1e300))
    ]
    path = tmp_path / "absurd.jsonl"
    path.write_bytes(encode(Comparison(work=SERVED_WORK, cells=absurd)))
    arguments = ["cost", str(path), "--target", "1e9", "--price-per-hour", "1e6"]
    assert run(arguments) == 0
    assert run([*arguments, "--json"]) == 0
    assert "Traceback" not in capsys.readouterr().err
