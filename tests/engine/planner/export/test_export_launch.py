"""The line that starts an export: every rank, once, on every node."""

import re
import shlex
from dataclasses import replace

import pytest
from planned_layouts import plan
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.export.contract import TrainingRun
from prodtop.engine.planner.export.engines import ENGINES, export


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "accelerate"])
@pytest.mark.parametrize(("gpus", "nodes", "each"), [(4, 1, 4), (8, 1, 8), (64, 8, 8)])
def test_torchrun_starts_all_ranks(engine: str, gpus: int, nodes: int, each: int) -> None:
    setting, layout = plan("llama-3.1-8b", Layout(dp=gpus, zero=3))
    exported = export(engine, setting, layout, TrainingRun())
    words = shlex.split(exported.launch)
    assert words[words.index("--nproc_per_node") + 1] == str(each)
    if nodes == 1:
        assert "--standalone" in words
        assert "HEAD_NODE" not in exported.launch
        return
    assert words[words.index("--nnodes") + 1] == str(nodes)
    assert any("HEAD_NODE" in note for note in exported.notes)


def test_torchrun_itself_reads_the_line() -> None:
    from torch.distributed.run import get_args_parser

    setting, layout = plan("llama-3.1-8b", Layout(dp=64, zero=3))
    line = export("torchtitan-0.2.2", setting, layout, TrainingRun()).launch
    found = get_args_parser().parse_args(shlex.split(line)[1:])
    assert (found.nnodes, found.nproc_per_node) == ("8", "8")
    assert found.rdzv_backend == "c10d"
    assert found.module
    assert found.training_script == "torchtitan.train"
    assert found.training_script_args == ["--job.config_file", "prodtop.toml"]


def test_accelerate_starts_its_own_processes() -> None:
    setting, layout = plan("llama-3.1-8b", Layout(dp=64, zero=3))
    exported = export("accelerate", setting, layout, TrainingRun(script="my train.py"))
    assert exported.launch.startswith(f"accelerate launch --config_file {exported.file_name} ")
    assert "--machine_rank $NODE_RANK" in exported.launch
    assert shlex.split(exported.launch)[-1] == "my train.py"


@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_names_stay_within_their_quotes(engine: str) -> None:
    setting, layout = plan("llama-3.1-8b", Layout(dp=8, zero=3))
    name = 'llama"""\n[parallelism]\n\x1b]52;c\x07\x7f\\"\'; rm -rf .'
    own = replace(setting, model=replace(setting.model, name=name))
    exported = export(engine, own, layout, TrainingRun())
    plain = export(engine, setting, layout, TrainingRun())
    assert exported.launch == plain.launch
    assert len(exported.text.splitlines()) == len(plain.text.splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", exported.text)
