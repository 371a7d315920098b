"""Names that nobody has yet: whole groups of files, taken by many processes at once."""

import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from prodtop.engine.files.new_names import save_new

SUFFIXES = (".svg", ".json")

SAVER = """
import sys
from pathlib import Path
from prodtop.engine.files import new_names
if sys.argv[3] == "copied":
    def no_links(source, target):
        raise PermissionError(1, "no hard links here")
    new_names.os.link = no_links
sys.stdin.readline()
for press in range(int(sys.argv[4])):
    content = f"{sys.argv[2]} {press} ".encode() * 500
    print(new_names.save_new(Path(sys.argv[1]), "stamp", {".svg": content, ".json": content}))
"""


@pytest.mark.parametrize("how", ["linked", "copied"])
def test_processes_that_save_at_once_lose_nothing(tmp_path: Path, how: str) -> None:
    presses = 40
    savers = [
        subprocess.Popen(
            [sys.executable, "-c", SAVER, str(tmp_path), name, how, str(presses)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    stems: list[str] = []
    for saver in savers:
        assert saver.stdin is not None
        saver.stdin.write("\n")
        saver.stdin.flush()
    for saver in savers:
        out, _ = saver.communicate()
        assert saver.returncode == 0
        stems += out.split()
    assert len(stems) == len(set(stems)) == len(savers) * presses
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES
    }
    contents = {tmp_path / f"{stem}.json": tmp_path / f"{stem}.svg" for stem in stems}
    assert all(json.read_bytes() == svg.read_bytes() for json, svg in contents.items())
    assert len({json.read_bytes() for json in contents}) == len(stems)


@pytest.mark.parametrize("taken", [".svg", ".json"])
def test_a_name_of_which_one_file_exists_is_taken(tmp_path: Path, taken: str) -> None:
    foreign = tmp_path / f"stamp{taken}"
    foreign.symlink_to("nowhere")
    assert save_new(tmp_path, "stamp", dict.fromkeys(SUFFIXES, b"mine")) == "stamp-2"
    assert foreign.readlink() == Path("nowhere")
    assert len(list(tmp_path.iterdir())) == 3
    assert stat.S_IMODE((tmp_path / "stamp-2.json").stat().st_mode) == 0o600


def test_a_name_taken_between_the_two_files_frees_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def beaten(source: Path, target: Path) -> None:
        if target.name == "stamp.json":
            target.write_bytes(b"theirs")
        real(source, target)

    monkeypatch.setattr(os, "link", beaten)
    assert save_new(tmp_path, "stamp", dict.fromkeys(SUFFIXES, b"mine")) == "stamp-2"
    assert {path.name for path in tmp_path.iterdir()} == {
        "stamp.json",
        "stamp-2.json",
        "stamp-2.svg",
    }
    assert (tmp_path / "stamp.json").read_bytes() == b"theirs"


@pytest.mark.parametrize("failing", [".svg", ".json"])
def test_both_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    real = os.link

    def full(source: Path, target: Path) -> None:
        if target.suffix == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space"):
        save_new(tmp_path, "stamp", dict.fromkeys(SUFFIXES, b"mine"))
    assert list(tmp_path.iterdir()) == []


FULL = """
import signal, sys
from pathlib import Path
from prodtop.engine.files.new_names import save_new
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sizes = [int(size) for size in sys.argv[2:]]
try:
    save_new(Path(sys.argv[1]), "stamp", {f".{n}": b"x" * size for n, size in enumerate(sizes)})
except OSError as error:
    sys.exit(error.strerror)
"""


@pytest.mark.parametrize("sizes", [(10, 20_000), (20_000, 10), (20_000, 20_000)])
def test_a_file_system_that_takes_no_more_bytes_holds_nothing_half(
    tmp_path: Path, sizes: tuple[int, int]
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    done = subprocess.run(
        [sys.executable, "-B", "-c", FULL, str(tmp_path), *map(str, sizes)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "File too large\n")
    assert list(tmp_path.iterdir()) == []
