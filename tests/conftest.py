"""What holds for every test: prodtop's folders are the test's own, and torch uses one thread."""

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, so that a change is judged by what it changed; `make fuzz` draws
# new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("fuzz", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# Read when torch is imported, as in the worker: idle threads then hardly take a core from others.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Read when a Triton kernel is defined. Without a GPU its interpreter runs the kernels.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_collection_finish() -> None:
    """Take all that was imported out of what collections of garbage look through: with torch and
    transformers one takes 0.4 s else, and a switch of precision asks for one."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the XDG folders, which child processes inherit, below the test's folder."""
    for kind in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / f"xdg-{kind.lower()}"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny tensors gain nothing from threads. A test that needs no torch does not import it."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def mended_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where kernels run under Triton's interpreter, they run under one that is mended."""
    if "triton" in sys.modules and os.environ.get("TRITON_INTERPRET") == "1":
        from mended_triton import mend

        mend(monkeypatch)


@pytest.fixture(autouse=True)
def settled_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the screen waits for what is to come, and not for a time."""
    if "textual" in sys.modules:
        from settled_loop import settle_at_once

        settle_at_once(monkeypatch)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint folder of a tiny random Llama, with a tokenizer. Not to be written to."""
    from checkpoints import TinyShape, write_checkpoint, write_tokenizer

    folder = tmp_path_factory.mktemp("tiny-llama")
    write_checkpoint(folder, TinyShape())
    write_tokenizer(folder)
    return folder
