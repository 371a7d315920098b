"""Models of the hub, from a hub on the loopback: what is fetched, kept, and said where it fails."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_hub import GATED, REPOSITORY, REVISION, FakeHub, fake_hub
from prodtop.engine.model.hub import HubId, parse_hub_id

DOWNLOAD = """
import json, sys
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.model.hub import download, parse_hub_id

fractions = []
try:
    model = parse_hub_id(sys.argv[1])
    folder = download(model, with_weights=sys.argv[2] == "weights", on_progress=fractions.append)
    print(json.dumps({"folder": str(folder), "fractions": fractions}))
except CheckpointError as error:
    print(json.dumps({"error": str(error)}))
assert "torch" not in sys.modules
"""
LOAD = """
import json, sys
from prodtop.engine.model.loading import load_model

loaded, fetched = [], []
model = load_model(sys.argv[1], on_progress=loaded.append, on_download=fetched.append)
print(json.dumps({
    "name": model.name, "parameters": model.config.parameters, "done": [loaded[-1], fetched[-1]]
}))
"""


@dataclass(frozen=True)
class Machine:
    """A machine whose hub is `hub`, with a cache of its own. The client reads that at its start."""

    hub: FakeHub
    cache: Path

    def python(self, code: str, *arguments: str, **environment: str) -> dict[str, object]:
        """What a new process answers to `code`."""
        settings = {
            "HF_ENDPOINT": self.hub.endpoint,
            "HF_HOME": str(self.cache),
            "NO_PROXY": "127.0.0.1",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=kept | settings | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    def refusal(self, model: str, **environment: str) -> str:
        line = self.python(DOWNLOAD, model, "weights", **environment)["error"]
        assert isinstance(line, str)
        assert "\n" not in line
        return line


@pytest.fixture
def machine(tmp_path: Path, tiny_folder: Path) -> Iterator[Machine]:
    folder = shutil.copytree(tiny_folder, tmp_path / "published")
    (folder / "README.md").write_text("# Not needed to serve it")
    (folder / "pytorch_model.bin").write_bytes(b"pickled, never wanted")
    with fake_hub(folder) as hub:
        yield Machine(hub, tmp_path / "home")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Qwen/Qwen3-0.6B", HubId("Qwen/Qwen3-0.6B")),
        ("a/b@v1.2", HubId("a/b", "v1.2")),
        ("a/b@refs/pr/3", HubId("a/b", "refs/pr/3")),
        ("qwen3-0.6b", None),
        ("a/b/c", None),
        ("/a/b", None),
        ("../b", None),
        ("a/..", None),
        ("~a/b", None),
        ("a/b@", None),
        ("a/b c", None),
        ("", None),
    ],
)
def test_an_id_has_an_organization_and_perhaps_a_revision(text: str, meant: HubId | None) -> None:
    assert parse_hub_id(text) == meant


def test_what_serving_needs_is_fetched_and_nothing_else(machine: Machine) -> None:
    answer = machine.python(DOWNLOAD, REPOSITORY, "weights")
    folder = Path(str(answer["folder"]))
    wanted = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert {file.name for file in folder.iterdir()} == set(machine.hub.asked) == wanted
    for name in wanted:
        assert (folder / name).read_bytes() == (machine.hub.folder / name).read_bytes()
    fractions = answer["fractions"]
    assert isinstance(fractions, list)
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < fractions[-1] == 1.0


def test_what_is_here_is_not_fetched_again_and_needs_no_network(machine: Machine) -> None:
    first = machine.python(DOWNLOAD, REPOSITORY, "weights")
    machine.hub.asked.clear()
    again = machine.python(DOWNLOAD, REPOSITORY, "weights")
    offline = machine.python(DOWNLOAD, REPOSITORY, "weights", HF_HUB_OFFLINE="1")
    nowhere = machine.python(DOWNLOAD, REPOSITORY, "weights", HF_ENDPOINT="http://127.0.0.1:9")
    assert not machine.hub.asked
    assert first["folder"] == again["folder"] == offline["folder"] == nowhere["folder"]
    assert again["fractions"] == offline["fractions"] == []


def test_a_shape_for_dummy_weights_takes_its_config_alone(machine: Machine) -> None:
    answer = machine.python(DOWNLOAD, REPOSITORY, "no weights")
    names = {file.name for file in Path(str(answer["folder"])).iterdir()}
    assert names == {"config.json", "generation_config.json"}
    # The weights come later, when they are asked for.
    assert "incomplete" not in str(machine.python(DOWNLOAD, REPOSITORY, "weights"))
    assert "model.safetensors" in machine.hub.asked


def test_a_model_of_the_hub_is_loaded_under_its_name(machine: Machine) -> None:
    answer = machine.python(LOAD, f"{REPOSITORY}@{REVISION}")
    assert answer["name"] == "Tiny-1.5"
    assert answer["done"] == [1.0, 1.0]


@pytest.mark.parametrize(
    "environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}]
)
def test_without_a_network_the_folder_to_supply_is_named(
    machine: Machine, environment: dict[str, str]
) -> None:
    line = machine.refusal(REPOSITORY, **environment)
    assert line.startswith(f"{REPOSITORY} is neither here")
    assert "cannot be reached" in line
    assert "./Tiny-1.5" in line
    assert "config.json" in line


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("someone/else", "no such model"),
        (f"{REPOSITORY}@v9", "no revision 'v9'"),
        (GATED, "consent"),
        ("a--b/c", "a--b"),
    ],
)
def test_what_the_hub_does_not_give_is_said(machine: Machine, model: str, reason: str) -> None:
    line = machine.refusal(model)
    assert reason in line
    assert f"./{model.partition('/')[2].partition('@')[0]}" in line


def test_a_download_that_breaks_off_is_no_model(machine: Machine) -> None:
    machine.hub.cuts_off = "tokenizer.json"
    line = machine.refusal(REPOSITORY)
    assert line.startswith(f"{REPOSITORY} is neither here nor can it be downloaded")
