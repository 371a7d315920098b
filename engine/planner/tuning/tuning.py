"""What is trained of a model, and for which objective: memory by parameter and time by step.

Adapters after LoRA (Hu et al. 2021), QLoRA (Dettmers et al. 2023) and DoRA (Liu et al. 2024);
objectives after DPO (Rafailov et al. 2023) and GRPO (Shao et al. 2024).
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from ...protocol.wording import counted
from ...shape.field_errors import FieldError, positive
from ...shape.model_shape import ModelShape
from ..cost.estimate import Estimate
from ..cost.setting import Setting

Method = Literal["full", "lora", "qlora", "dora"]
METHODS: tuple[Method, ...] = get_args(Method)
Objective = Literal["sft", "dpo", "grpo"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

NF4_BYTES = 0.5 + 4 / 64
"""Half a byte, and an fp32 scale for 64 weights (bitsandbytes without double quantization)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How a model is tuned.

    rank: of adapters on every projection of attention and of dense and shared MLPs, not on routed
    experts. train_layers: the last layers that are trained, `None` for all; the others get no
    gradients. fill: share of a batch's tokens that are not padding (1 where sequences are packed).
    rollout_tokens_s: tokens per second that the GPUs' own engine generates between GRPO's steps,
    all GPUs together; `response` is the share of a sequence's tokens that is generated.
    """

    method: Method = "full"
    rank: int = 16
    train_layers: int | None = None
    objective: Objective = "sft"
    fill: float = 1.0
    response: float = 0.5
    rollout_tokens_s: float | None = None

    def __post_init__(self) -> None:
        positive("rank", self.rank)
        for name, share in (("fill", self.fill), ("response", self.response)):
            if not 0 < share <= 1:
                raise FieldError(name, f"must lie above 0 and be at most 1, found {share:g}")
        if self.train_layers is not None and self.method != "full":
            raise FieldError("train_layers", "adapters leave all layers frozen: give one of both")


def adapter_parameters(model: ModelShape, tuning: Tuning) -> int:
    """Parameters of the adapters: `rank · (inputs + outputs)` for each projection, and under DoRA a
    magnitude for each output; 0 without adapters."""
    if tuning.method == "full":
        return 0
    inner = model.intermediate
    shared = 0 if model.experts is None else model.experts.shared_intermediate
    mlps = ((model.dense_layers, inner), (model.moe_layers, shared))
    attending = model.layers_with_attention
    counted = [(attending, k, n) for k, n in model.attention_gemms]
    if model.latent is None:
        # Queries, keys and values are one product here, with adapters of their own.
        counted += [(attending, 2 * model.hidden, 0)]
    if model.recurrence is not None:
        counted += [(model.recurrence.layers, k, n) for k, n in model.recurrence.gemms]
    for layers, width in mlps:
        if width:
            up = (model.hidden, width)
            counted += [(layers, *up)] * (model.mlp_matrices - 1) + [(layers, width, model.hidden)]
    magnitudes = 1 if tuning.method == "dora" else 0
    return sum(layers * (tuning.rank * (k + n) + magnitudes * n) for layers, k, n in counted)


def tuned_setting(setting: Setting, tuning: Tuning) -> Setting:
    """`setting` with the memory of what is trained, and of what is kept beside it.

    Under DPO and GRPO the model that is trained is compared with a reference. Adapters that are
    left out of a pass make the reference of the same weights; else it is a copy in bf16.
    """
    model, layers = setting.model, tuning.train_layers
    if layers is not None and not 0 < layers <= model.layers:
        there = counted(model.layers, "layer")
        raise FieldError("train_layers", f"the model has {there}, not {layers}")
    adapters = adapter_parameters(model, tuning) / model.parameters
    copied = tuning.objective != "sft" and tuning.method == "full"
    return replace(
        setting,
        frozen=tuning.method != "full",
        frozen_bytes=NF4_BYTES if tuning.method == "qlora" else 2.0,
        trained_share=adapters
        if tuning.method != "full"
        else (layers or model.layers) / model.layers,
        reference_bytes=2.0 if copied else 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedStep:
    """A step's parts under an objective, and the rate of tokens that are no padding.

    update_s: forward, backward and optimizer. reference_s: the reference's forward pass, and under
    GRPO another for the probabilities before the update. rollout_s: generation, `None` where no
    rate is known; then `total_s` is without it.
    """

    update_s: float
    reference_s: float
    rollout_s: float | None
    tokens: float

    @property
    def total_s(self) -> float:
        """One part after the other on the same GPUs."""
        return self.update_s + self.reference_s + (self.rollout_s or 0.0)

    @property
    def tokens_s(self) -> float:
        """Tokens per second that are no padding."""
        return self.tokens / self.total_s


def tuned_step(one: Estimate, tuning: Tuning) -> TunedStep:
    """What a step of `one` takes under `tuning`; layers that are frozen have no backward pass."""
    stage, model = one.time.stage, one.setting.model
    work = stage.layer.work
    passes = work.forward_s + work.backward_s
    forward_s = stage.busy_s * work.forward_s / passes
    frozen = 0.0 if tuning.train_layers is None else 1 - tuning.train_layers / model.layers
    forwards = {"sft": 0, "dpo": 1, "grpo": 2}[tuning.objective]
    tokens, rollout_s = one.tokens_per_step * tuning.fill, None
    if tuning.objective == "grpo" and tuning.rollout_tokens_s is not None:
        rollout_s = tokens * tuning.response / tuning.rollout_tokens_s
    return TunedStep(
        update_s=one.step_s - frozen * (stage.busy_s - forward_s),
        reference_s=forwards * forward_s,
        rollout_s=rollout_s,
        tokens=tokens,
    )
