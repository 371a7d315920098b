"""From the name that a user gives to a model: folders, shapes and what is neither."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol.errors import BadInputError, CheckpointError
from prodtop.engine.protocol.options import LoadFormat
from prodtop.engine.text.tokenizer import CheckpointTokenizer, NumberTokenizer


@pytest.fixture
def folder(tmp_path: Path, tiny_folder: Path) -> Path:
    """A model folder whose name has dots, as those of published models do."""
    return shutil.copytree(tiny_folder, tmp_path / "Tiny-3.1-8B.v2")


def test_a_folder_is_loaded_with_its_tokenizer(folder: Path) -> None:
    fractions: list[float] = []
    model = load_model(str(folder), on_progress=fractions.append)
    assert model.config.layers == 2
    assert model.master.dtype is torch.float32
    assert isinstance(model.tokenizer, CheckpointTokenizer)
    assert fractions[-1] == 1.0


def test_a_folder_is_called_by_its_whole_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_model(str(folder)).name == "Tiny-3.1-8B.v2"
    assert load_model(f"{folder}{os.sep}").name == "Tiny-3.1-8B.v2"
    monkeypatch.chdir(folder)
    assert load_model(".").name == "Tiny-3.1-8B.v2"


def test_a_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load_model(f"~/{folder.name}").name == folder.name


def test_control_characters_of_a_name_are_not_shown(tmp_path: Path, tiny_folder: Path) -> None:
    path = shutil.copytree(tiny_folder, tmp_path / "ti\x1b[2Jny")
    assert load_model(str(path)).name == "ti[2Jny"


def test_a_shape_file_gives_random_weights_when_asked(folder: Path) -> None:
    path = folder / "shape.json"
    (folder / "config.json").rename(path)
    model = load_model(str(path), "dummy")
    assert model.name == "shape"
    assert model.master.dtype is torch.bfloat16
    assert isinstance(model.tokenizer, NumberTokenizer)
    assert all(token < model.config.vocabulary for token in model.tokenizer.encode("a prompt"))


def test_dummy_weights_of_a_folder_need_its_config_alone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    assert isinstance(load_model(str(folder), "dummy").tokenizer, NumberTokenizer)


def test_a_shape_has_no_weights_of_its_own(folder: Path) -> None:
    for shape in ("llama-3.1-8b", str(folder / "config.json")):
        with pytest.raises(BadInputError, match="--load-format dummy"):
            load_model(shape)


def test_what_cannot_be_served_is_refused_before_any_weight_takes_memory() -> None:
    with pytest.raises(CheckpointError, match="deepseek-v3: a mixture of experts and latent"):
        load_model("deepseek-v3", "dummy")


@pytest.mark.parametrize(
    "name", ["llama-9000b", "", "no/such/folder", "config.json", "~nobody-here/model"]
)
def test_an_unknown_name_is_answered_with_those_that_are_known(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError) as caught:
        load_model(name)
    line = str(caught.value)
    assert "bundled, gpt2" in line
    assert "llama-3.1-8b" in line
    assert "mixtral" not in line, "it cannot be served"
    assert "\n" not in line
    assert caught.value.exit_code == 2


def test_a_folder_without_a_tokenizer_is_named_before_its_weights_are_read(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        load_model(str(folder))


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a model folder"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("name", ["model", "model.json"])
@pytest.mark.parametrize("load_format", ["auto", "dummy"])
def test_what_is_no_file_is_named_as_what_it_is(
    tmp_path: Path, name: str, load_format: LoadFormat
) -> None:
    """None is waited for, and none is said not to be there."""
    makers: dict[str, Callable[[Path], object]] = {
        "is a FIFO": os.mkfifo,
        "is a socket": lambda path: bind(path),
        "is a device": lambda path: path.symlink_to("/dev/zero"),
        "cannot be read": lambda path: path.symlink_to(path),
        "not": lambda path: path.symlink_to("nowhere"),
    }
    for number, (reason, make) in enumerate(makers.items()):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        make(path)
        with pytest.raises(BadInputError, match=reason) as caught:
            load_model(str(path), load_format)
        assert "no model '" not in str(caught.value)
        assert str(path.parent) in str(caught.value)


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def test_a_file_that_is_no_config_is_refused_as_a_file(folder: Path) -> None:
    with pytest.raises(BadInputError, match="is a file and no model: give its folder"):
        load_model(str(folder / "model.safetensors"))


def test_a_name_that_no_file_can_have_is_no_model() -> None:
    for name in ("a" * 5000, "a\0b", f"{'a' * 5000}.json"):
        with pytest.raises(BadInputError, match="no model"):
            load_model(name)
