"""`prodtop doctor`: true on this machine, and unharmed on a machine that lacks everything."""

import json
import subprocess
import sys
from importlib import metadata

import pytest
from prodtop.engine.probes.nvml import GpuProbe
from prodtop.engine.probes.nvml_api import Nvml
from prodtop.tui.commands import diagnosis
from prodtop.tui.commands.main import run


def test_json_tells_what_this_machine_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["prodtop"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"]["version"] == metadata.version("torch")
    assert found["torch"]["problem"] is None
    assert found["torch"]["threads"] >= 1
    assert (found["gpu"]["devices"] == []) == (found["gpu"]["note"] is not None)
    assert found["terminal"]["size"] is None


def test_the_words_say_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("TMUX", raising=False)
    assert run(["doctor"]) == 0
    lines = {line.strip() for line in capsys.readouterr().out.splitlines()}
    for name, fact in (
        ("problem", "torch is not installed: install prodtop with its dependencies"),
        ("triton", "--"),
        ("cuda", "--"),
        ("colours", "none (NO_COLOR is set)"),
        ("tmux", "no"),
        ("size", "--"),
    ):
        assert f"{name:<16} {fact}" in lines


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (subprocess.TimeoutExpired("python", 60), "torch did not load within 60 s"),
        (
            subprocess.CalledProcessError(1, "python", stderr=b"Traceback\nOSError: libcuda\n"),
            "torch cannot be loaded: OSError: libcuda",
        ),
        (OSError("no more processes"), "torch could not be asked: no more processes"),
    ],
)
def test_a_torch_that_cannot_be_asked_says_why(
    failure: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", fails)
    facts = diagnosis.torch_facts()
    assert facts.problem == words
    assert facts.cuda is None


def test_a_machine_without_nvml_says_so() -> None:
    def missing() -> Nvml:
        raise ImportError("pynvml")

    facts = diagnosis.gpu_facts(GpuProbe(missing))
    assert facts.devices == []
    assert facts.note == "no NVIDIA GPU: the package nvidia-ml-py is not installed"
