"""`prodtop quality` with other ways to int4: what is asked of the worker, and what is shown."""

import json
from typing import Any

import pytest
from prodtop.engine.protocol import Interval, LevelQuality, LevelSkipped, PrecisionName
from prodtop.tui.commands import quality
from prodtop.tui.commands.arguments import parse_groups
from prodtop.tui.commands.main import run
from prodtop.tui.commands.quality_output import QualityOutput, level_lines, skipped_lines


def level(scheme: str = "") -> LevelQuality:
    return LevelQuality(
        precision=PrecisionName.INT4,
        reference=PrecisionName.BF16,
        weights_bytes=1 << 20,
        scored_tokens=510,
        perplexity=Interval(value=20.0, low=19.0, high=21.0),
        ratio=Interval(value=1.03, low=1.02, high=1.04),
        divergence=None,
        text=None,
        greedy=None,
        scored_tok_s=100.0,
        scheme=scheme,
    )


@pytest.mark.parametrize(
    ("text", "groups"), [("", []), (" ", []), ("32", [32]), ("128, 32,128", [128, 32])]
)
def test_groups_are_read_each_once(text: str, groups: list[int]) -> None:
    assert parse_groups(text) == groups


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"int4_groups": [], "int4_rounded": False, "int4_calibrated": False}),
        (["--groups", "32,64"], {"int4_groups": [32, 64]}),
        (["--rounded"], {"int4_rounded": True}),
        (["--calibrated"], {"int4_calibrated": True, "calibration_file": None}),
        (["--calibrate", "/a/text"], {"int4_calibrated": True, "calibration_file": "/a/text"}),
    ],
)
def test_what_is_asked_for_reaches_the_worker(
    arguments: list[str], expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Started:
        def __init__(self, *_: object, **__: object) -> None: ...
        def start(self) -> None: ...
        def close(self) -> None: ...

    def measured(_: object, spec: object) -> list[object]:
        asked.append(spec)
        return []

    monkeypatch.setattr(quality, "LocalEngine", Started)
    monkeypatch.setattr(quality, "measure", measured)
    assert run(["quality", *arguments]) == 0
    assert {name: getattr(asked[0], name) for name in expected} == expected


def test_a_scheme_stands_beside_what_is_served_by_its_own_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = level_lines([level(), level("int4 gptq")])
    assert [line.split("  ")[0] for line in lines[1:3]] == ["int4", "int4 gptq"]
    skipped = LevelSkipped(precision=PrecisionName.INT4, reason="no", scheme="int4 g128")
    assert skipped_lines([skipped]) == ["int4 g128: no"]
    output = QualityOutput(json=True)
    output.take(level("int4 g32"))
    output.close()
    printed = json.loads(capsys.readouterr().out)
    assert (printed["scheme"], printed["precision"]) == ("int4 g32", "int4")
