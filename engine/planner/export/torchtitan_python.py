"""torchtitan since TOML was removed: a Python function that returns the trainer's configuration.

Two forms: the release on PyPI counts batches in sequences, the main branch after it in tokens.
"""

from dataclasses import dataclass

from ...text.cleaning import clean
from ..cost.layout import Layout
from ..cost.setting import Setting
from .contract import Engine, Export, TrainingRun, launch_notes, torchrun
from .titan_layout import TitanLayout, titan_layout, titan_notes
from .titan_models import MODELS_0_3, TitanModel, titan_model

RELEASE = Engine("torchtitan", "0.3.0")
MAIN = Engine("torchtitan", "main of 2026-08-21")
MODULE = "prodtop_titan"

_RELEASE_DATA = ("from torchtitan.hf_datasets.text_datasets import HuggingFaceTextDataLoader",)
_MAIN_DATA = (
    "from torchtitan.components.data import ConcatThenSplitPackingConfig, GrainDataLoader",
    "from torchtitan.hf_datasets.text_datasets import DATASETS",
)


def export_titan_release(setting: Setting, layout: Layout, run: TrainingRun) -> Export:
    """The module for the release on PyPI; raises `InexpressibleError` or `FieldError`."""
    model, planned = _plan(RELEASE, setting, layout)
    training = {
        "local_batch_size": planned.local_batch,
        "global_batch_size": layout.batch,
        "seq_len": setting.sequence,
    }
    pipeline = {"pipeline_parallel_microbatch_size": layout.micro_batch} if layout.pp > 1 else {}
    form = _Form(
        engine=RELEASE,
        training=training,
        pipeline=pipeline,
        imports=_RELEASE_DATA,
        data='HuggingFaceTextDataLoader.Config(dataset="c4")',
    )
    return _export(form, setting, layout, run, model, planned)


def export_titan_main(setting: Setting, layout: Layout, run: TrainingRun) -> Export:
    """The module for the main branch; raises `InexpressibleError` or `FieldError`."""
    model, planned = _plan(MAIN, setting, layout)
    training = {
        "num_tokens_per_microbatch_per_dp_rank": layout.micro_batch * setting.sequence,
        "num_tokens_per_train_step": layout.batch * setting.sequence,
        "max_context_length": setting.sequence,
    }
    pipeline = {"num_pp_microbatches": layout.micro_batches} if layout.pp > 1 else {}
    form = _Form(
        engine=MAIN,
        training=training,
        pipeline=pipeline,
        imports=_MAIN_DATA,
        data=(
            "GrainDataLoader.Config(\n"
            '            dataset=ConcatThenSplitPackingConfig(dataset=DATASETS["c4"])\n'
            "        )"
        ),
    )
    return _export(form, setting, layout, run, model, planned)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What differs between the two: how batches are counted, and where data comes from."""

    engine: Engine
    training: dict[str, int]
    pipeline: dict[str, int]
    imports: tuple[str, ...]
    data: str


def _plan(engine: Engine, setting: Setting, layout: Layout) -> tuple[TitanModel, TitanLayout]:
    engine.check(setting, layout)
    model = titan_model(engine, setting.model, MODELS_0_3)
    planned = titan_layout(engine, setting, layout, model)
    wanted = 1 if layout.ep > 1 else layout.tp
    if setting.model.experts is not None and layout.expert_tp != wanted:
        raise engine.refusal(
            "expert_tp",
            f"splits experts by tp where ep is 1 and not at all else: {wanted}, not"
            f" {layout.expert_tp}",
        )
    return model, planned


def _export(
    form: _Form,
    setting: Setting,
    layout: Layout,
    run: TrainingRun,
    model: TitanModel,
    planned: TitanLayout,
) -> Export:
    program = f"-m torchtitan.train --module {MODULE} --config prodtop"
    return Export(
        engine=form.engine.name,
        version=form.engine.version,
        file_name=f"{MODULE}.py",
        text=_text(form, setting, layout, run, model, planned),
        launch=f"PYTHONPATH=. {torchrun(setting.cluster, program)}",
        notes=(
            *titan_notes(setting, planned),
            "CUDA graphs are off: the estimate has none, and pipelines and experts forbid them.",
            *launch_notes(setting.cluster),
        ),
    )


def _text(
    form: _Form,
    setting: Setting,
    layout: Layout,
    run: TrainingRun,
    model: TitanModel,
    planned: TitanLayout,
) -> str:
    training: dict[str, object] = {
        **form.training,
        "steps": run.steps,
        "mixed_precision_param": planned.param_dtype,
        "enable_cpu_offload": planned.offload,
        "disable_cuda_graphs": True,
    }
    recompute = {"none": "None", "selective": "SelectiveAC.Config()", "full": "FullAC.Config()"}
    imports = [
        "from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss",
        "from torchtitan.components.optimizer import default_adamw",
        *(
            ["from torchtitan.components.quantization import Float8LinearConverter"]
            * planned.float8
        ),
        "from torchtitan.config import CompileConfig, ParallelismConfig, TrainingConfig",
        "from torchtitan.distributed.activation_checkpoint import FullAC, SelectiveAC",
        *form.imports,
        f"from torchtitan.models.{model.module} import model_registry",
        "from torchtitan.models.common.config_utils import decoder_vocab_size",
        "from torchtitan.trainer import Trainer",
    ]
    title = clean(f"{setting.model.name}: {layout.shorthand}").replace("\\", "").replace('"', "")
    return "\n".join(
        (
            f'"""torchtitan {form.engine.version}. {title}."""',
            "",
            *sorted(imports),
            "",
            "",
            "def prodtop() -> Trainer.Config:",
            f"    model_spec = {_model(model, planned)}",
            "    return Trainer.Config(",
            "        loss=ChunkedLossWrapper.Config(",
            "            loss_fn=CrossEntropyLoss.Config(",
            "                global_vocab_size=decoder_vocab_size(model_spec),",
            "            ),",
            "        ),",
            f'        hf_assets_path="{model.assets}",',
            "        model_spec=model_spec,",
            f"        optimizer=default_adamw(lr={run.learning_rate!r}),",
            f"        dataloader={form.data},",
            *_call("training", "TrainingConfig", training),
            *_call("parallelism", "ParallelismConfig", _parallelism(form, layout, model, planned)),
            f"        activation_checkpoint={recompute[planned.recompute]},",
            f"        compile=CompileConfig(enable={planned.compiled}),",
            "    )",
            "",
        )
    )


def _model(model: TitanModel, planned: TitanLayout) -> str:
    if not planned.float8:
        return f'model_registry("{model.flavor}")'
    converter = (
        'Float8LinearConverter.Config(filter_fqns=["lm_head"],'
        f" model_compile_enabled={planned.compiled})"
    )
    return f'model_registry("{model.flavor}", converters=[{converter}])'


def _parallelism(
    form: _Form, layout: Layout, model: TitanModel, planned: TitanLayout
) -> dict[str, object]:
    values: dict[str, object] = {
        "data_parallel_replicate_degree": planned.sharding.replicate,
        "data_parallel_shard_degree": planned.sharding.shard,
        "fsdp_reshard_after_forward": planned.reshard,
        "tensor_parallel_degree": layout.tp,
        "enable_sequence_parallel": layout.sequence_parallel,
        "pipeline_parallel_degree": layout.pp,
        "context_parallel_degree": layout.cp,
        "expert_parallel_degree": layout.ep,
    }
    if layout.cp > 1 and model.flex:
        values["context_parallel_load_balancer"] = "ptrr"
    if layout.pp > 1:
        values |= {
            "pipeline_parallel_schedule": planned.schedule,
            **form.pipeline,
            "pipeline_parallel_first_stage_less_layers": planned.first_less,
            "pipeline_parallel_last_stage_less_layers": planned.last_less,
        }
    if planned.layers_per_stage is not None:
        values["pipeline_parallel_layers_per_stage"] = planned.layers_per_stage
    return values


def _call(keyword: str, function: str, values: dict[str, object]) -> list[str]:
    """`keyword=function(...)`, one argument a line."""
    arguments = [f"            {key}={_literal(value)}," for key, value in values.items()]
    return [f"        {keyword}={function}(", *arguments, "        ),"]


def _literal(value: object) -> str:
    """Python source of a value, text in double quotes."""
    return f'"{value}"' if isinstance(value, str) else repr(value)
