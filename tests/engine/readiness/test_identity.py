"""What something is measured of, as told without loading it."""

import os
from pathlib import Path

import pytest
from prodtop.engine.probes.host import cpu_name
from prodtop.engine.readiness.identity import (
    UNKNOWN_DEVICE,
    checkpoint_identity,
    device_name,
    model_name,
    versions,
)


def test_releases_are_those_of_the_packages() -> None:
    assert set(versions()) == {"prodtop", "torch"}


@pytest.mark.parametrize(
    ("model", "name"),
    [("bundled", "bundled"), ("org/name", "name"), ("org/name@main", "name"), ("tiny", "tiny")],
)
def test_a_model_that_is_no_path_has_its_name(model: str, name: str) -> None:
    assert model_name(model) == name
    assert checkpoint_identity(model) == checkpoint_identity(model)


def test_a_changed_checkpoint_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    weights = folder / "model.safetensors"
    weights.write_bytes(b"1234")
    assert model_name(str(folder)) == "model"
    before = checkpoint_identity(str(folder))
    assert checkpoint_identity(f"{folder}/") == before
    os.utime(weights, ns=(1, 1))
    changed = checkpoint_identity(str(folder))
    assert changed != before
    weights.write_bytes(b"12345")
    os.utime(weights, ns=(1, 1))
    assert checkpoint_identity(str(folder)) != changed


def test_folders_of_one_name_are_two_models(tmp_path: Path) -> None:
    found = set()
    for place in ("a", "b"):
        folder = tmp_path / place / "model"
        folder.mkdir(parents=True)
        found.add(checkpoint_identity(str(folder)))
    assert len(found) == 2


GPUS = ["H200", "H100"]


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cuda", None, "H200"),
        ("cuda:1", None, "H100"),
        ("cuda:2", None, UNKNOWN_DEVICE),
        ("cuda:0", "1", "H100"),
        ("cuda:1", "1,0", "H200"),
        ("cuda:1", "1,7,0", UNKNOWN_DEVICE),
        ("cuda:0", "GPU-1234", UNKNOWN_DEVICE),
        ("cuda:x", None, UNKNOWN_DEVICE),
        ("tpu", None, UNKNOWN_DEVICE),
    ],
)
def test_gpus_are_numbered_as_cuda_does(device: str, visible: str | None, expected: str) -> None:
    assert device_name(device, GPUS, ",".join("01") if visible is None else visible) == expected


def test_a_cpu_has_its_makers_name() -> None:
    assert device_name("cpu") == (cpu_name() or "CPU")
    assert device_name("auto", []) == (cpu_name() or "CPU")
