"""Who writes and who reads files: `engine/files/` alone, but for what stands here with its reason.

There a write never destroys what is no file of ours, and a read is bounded.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = "engine/files"

WRITES = {
    "write_text", "write_bytes", "touch", "rename", "unlink", "symlink_to", "hardlink_to",
    "mkstemp", "NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory", "mkdtemp",
    "memfd_create", "FileHandler", "save_file", "savetxt", "tofile",
}  # fmt: skip
"""Methods and functions that make, change or remove a file."""
WRITING_MODULES = {
    "os": {"link", "remove", "removedirs", "renames", "rmdir", "truncate", "mkfifo", "mknod"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move", "rmtree"},
    "torch": {"save"},
    "np": {"save", "savez"},
}
"""What does so by the name of its module alone."""
READS = {"read_text", "read_bytes", "safe_open", "from_file", "load_file", "fromfile", "loadtxt"}
OPENS = {"open", "fdopen"}
PACKAGED = {"files", "resources"}
"""`importlib.resources`: what is installed with the program."""

WRITERS = {
    "tui/commands/bench_file.py": "removes its own partial file once all is written",
    "tui/commands/streams.py": "the standard streams, and /dev/null where one is closed",
}
READERS = {
    "engine/model/stored_tensors.py": "safetensors maps files that `require_regular` has seen",
    "engine/text/tokenizer_file.py": "tokenizers reads a file that `require_regular` has seen",
    "engine/probes/cgroups.py": "reads /proc and /sys",
    "engine/probes/host.py": "reads /proc",
    "engine/worker/main.py": "reads /proc",
    "engine/server/guards/model_reference.py": "those that are installed with the program",
    "tui/commands/streams.py": "standard input",
    "tui/style/theme.py": "the themes that are installed with the program",
}


@cache
def calls(path: Path) -> tuple[tuple[str, ast.Call], ...]:
    """The calls in a file by the last part of the name that is called."""
    return tuple(_calls(path))


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Attribute(attr=name) | ast.Name(id=name):
                    yield name, node


def is_of_a_writing_module(name: str, call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id=module)):
            return name in WRITING_MODULES.get(module, set())
    return False


def is_path_replace(name: str, call: ast.Call) -> bool:
    """`Path.replace` takes one argument, that of texts two, and those of records take keywords."""
    return name == "replace" and len(call.args) == 1 and not call.keywords


def opens_for_writing(name: str, call: ast.Call) -> bool:
    """An `open` whose mode says so, or whose flags are not known to be for reading."""
    if name not in OPENS:
        return False
    texts = [
        each.value
        for each in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    flags = [each.attr for each in ast.walk(call) if isinstance(each, ast.Attribute)]
    return any(set(text) <= set("rwxabt+") and set(text) & set("wxa+") for text in texts) or any(
        flag in {"O_WRONLY", "O_RDWR", "O_CREAT"} for flag in flags
    )


def is_packaged(call: ast.Call) -> bool:
    return any(isinstance(each, ast.Name) and each.id in PACKAGED for each in ast.walk(call.func))


def sources() -> list[Path]:
    return [
        path
        for folder in ("engine", "tui")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.is_relative_to(ROOT / FILES)
    ]


def writes(path: Path) -> list[int]:
    """The lines of a file that write files."""
    return [
        call.lineno
        for name, call in calls(path)
        if name in WRITES
        or is_of_a_writing_module(name, call)
        or is_path_replace(name, call)
        or opens_for_writing(name, call)
    ]


def reads(path: Path) -> list[int]:
    """The lines of a file that read files."""
    return [
        call.lineno
        for name, call in calls(path)
        if (name in READS and not is_packaged(call))
        or (name in OPENS and not opens_for_writing(name, call))
    ]


def names(paths: list[Path]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in paths}


def test_only_one_package_writes_files() -> None:
    assert names([path for path in sources() if writes(path)]) == set(WRITERS)


def test_only_one_package_reads_files() -> None:
    assert names([path for path in sources() if reads(path)]) == set(READERS)


@pytest.mark.parametrize(
    ("code", "writing", "reading"),
    [
        ("open(p, 'w')", True, False),
        ("p.open(mode='ab')", True, False),
        ("os.open(p, os.O_WRONLY | os.O_CREAT)", True, False),
        ("os.open(p, os.O_RDONLY)", False, True),
        ("open(p)", False, True),
        ("open('a.txt')", False, True),
        ("p.write_text('a')", True, False),
        ("p.replace(q)", True, False),
        ("text.replace('a', 'b')", False, False),
        ("msgspec.structs.replace(a, b=1)", False, False),
        ("p.read_text()", False, True),
        ("files(__package__).joinpath('a').read_text()", False, False),
        ("shutil.move(a, b)", True, False),
    ],
)
def test_every_way_would_be_found(
    tmp_path: Path, code: str, *, writing: bool, reading: bool
) -> None:
    source = tmp_path / "module.py"
    source.write_text(code)
    assert (bool(writes(source)), bool(reads(source))) == (writing, reading)
