"""Kernels compiled by another process are the ones that a launch looks for."""

import json
from pathlib import Path

import msgspec
from prodtop.engine.device.device_file import DeviceFile
from without_interpreter import output_of


def test_a_launch_finds_what_was_compiled_elsewhere(tmp_path: Path) -> None:
    """And nobody waits for a process that was killed: the script would not end."""
    told = json.loads(output_of("compile_ahead.py", str(tmp_path)))
    assert set(told["asked"]) == {"_quantize_kernel", "_norm_kernel", "_gated_kernel"}
    assert (told["before"], told["after"]) == (0, len(told["asked"]))
    assert [name for name, hit in told["hits"] if hit] == told["asked"]
    assert len(told["hits"]) == len(told["asked"])


def test_what_was_compiled_is_remembered_by_owner(tmp_path: Path) -> None:
    from prodtop.engine.kernels.common.compile_ahead import KnownSteps

    path = tmp_path / "compiled.json"
    assert "steps" not in KnownSteps("a GPU", path)
    KnownSteps("a GPU", path).add("steps")
    KnownSteps("a GPU", path).add("others")
    assert "steps" in KnownSteps("a GPU", path)
    assert "others" in KnownSteps("a GPU", path)
    assert "steps" not in KnownSteps("another GPU", path)


def test_a_broken_memory_is_no_memory(tmp_path: Path) -> None:
    from prodtop.engine.kernels.common.compile_ahead import KnownSteps

    path = tmp_path / "compiled.json"
    DeviceFile(path, msgspec.json.Decoder(dict[str, dict[str, bool]])).write("x", {"y": True})
    path.write_text("[")
    assert "steps" not in KnownSteps("a GPU", path)
