"""Files of a model folder that are no files, or have no end: refused by name, at once."""

import json
from pathlib import Path

import pytest
from checkpoints import INDEX_NAME, WEIGHTS_NAME, TinyShape, write_checkpoint, write_tokenizer
from irregular_files import IRREGULAR
from prodtop.engine.files.bounded import read_bounded, require_regular
from prodtop.engine.files.json_fields import read_json
from prodtop.engine.model.loading import TEXT_FILES, load_model
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import load_shape

READ = ["config.json", "generation_config.json", WEIGHTS_NAME, INDEX_NAME, *TEXT_FILES]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_checkpoint(folder, TinyShape(layers=1))
    write_tokenizer(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, whole: Path) -> Path:
    """A checkpoint whose files are links, each of which a test may replace."""
    for file in whole.iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize("name", READ)
def test_what_is_no_regular_file_is_refused_by_name(folder: Path, name: str, kind: str) -> None:
    if name == INDEX_NAME:
        (folder / WEIGHTS_NAME).unlink()
    (folder / name).unlink(missing_ok=True)
    IRREGULAR[kind](folder / name)
    with pytest.raises(CheckpointError) as caught:
        load_model(str(folder))
    assert str(caught.value) == f"{folder / name}: is {kind} and not a regular file"


def test_links_to_regular_files_are_followed(folder: Path) -> None:
    assert load_model(str(folder)).notes == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"hidden_size": ' + "9" * 100_000 + "}", "cannot be read"),
        ('{"hidden_size": ' + "9" * 4_000 + "}", "`hidden_size` is too large"),
        ('{"hidden_size": 1e999999}', "`hidden_size` is too large or not finite"),
        ('{"hidden_size": NaN}', "`hidden_size` is too large or not finite"),
        ('{"hidden_size": "' + "9" * 100_000 + '"}', "`hidden_size` must be a number"),
        ('{"eos_token_id": ' + "9" * 4_000 + "}", "`eos_token_id` must be"),
        ("[" * 200_000, "cannot be read"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "cannot be read"),
        ('{"hidden_size": ' + "[" * 500 + "]" * 500 + "}", "`hidden_size` must be a number"),
        ("\x00" * 100, "cannot be read"),
        ('{"a": "\\ud800', "cannot be read"),
        ("[1]", "must hold a JSON object"),
    ],
)
def test_absurd_json_is_one_short_line(tmp_path: Path, text: str, message: str) -> None:
    known = '{"architectures": ["LlamaForCausalLM"], '
    (tmp_path / "config.json").write_text(
        known + text[1:] if text.startswith(('{"h', '{"e')) else text
    )
    with pytest.raises(CheckpointError) as caught:
        load_shape(tmp_path)
    line = str(caught.value)
    assert message in line
    assert line.startswith(str(tmp_path))
    assert len(line) < len(str(tmp_path)) + 300
    assert line.isprintable()


def test_a_byte_order_mark_is_no_syntax_error(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps({"é": 1}).encode())
    assert read_json(file) == {"é": 1}


@pytest.mark.parametrize("extra", [0, 1])
def test_a_file_has_at_most_the_bytes_that_are_allowed(tmp_path: Path, extra: int) -> None:
    file = tmp_path / "file"
    with file.open("wb") as sparse:
        sparse.truncate((1 << 20) + extra)
    if extra:
        for read in (read_bounded, require_regular):
            with pytest.raises(CheckpointError, match="is larger than 1 MiB"):
                read(file, 1 << 20)
    else:
        assert len(read_bounded(file, 1 << 20)) == 1 << 20


def test_a_file_that_states_no_size_is_bounded_as_it_is_read() -> None:
    with pytest.raises(CheckpointError, match="is larger than"):
        read_bounded(Path("/proc/self/status"), 10)


def test_what_is_not_there_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        require_regular(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        require_regular(Path("a\0b"))
