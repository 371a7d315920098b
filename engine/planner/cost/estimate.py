"""The whole estimate for one layout: memory, step time and what follows from them."""

from dataclasses import dataclass

from .intervals import Interval, interval
from .layout import Layout, check_layout
from .memory import Memory, memory
from .recomputation import recomputed_flops_per_token
from .schedule import StepTime, step_time
from .setting import Setting

BUSY_POWER = 0.9
"""Share of its power limit that a GPU draws while it trains (MLPerf power results: 0.8 to 1.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What `layout` costs and gives on `setting`; every figure is an estimate.

    MFU is model FLOPs (6 per weight and token, full attention unless causal) per second over the
    cluster's dense peak at the layout's precision. HFU counts in the same way and adds what is
    recomputed (PaLM, Chowdhery et al. 2022, appendix B), so that it is never below MFU.
    """

    setting: Setting
    layout: Layout
    memory: Memory
    time: StepTime

    @property
    def step_s(self) -> float:
        """Seconds of one optimizer step."""
        return self.time.total_s

    @property
    def step_interval(self) -> Interval:
        """How sure the step time is, and with it speed, training time and cost."""
        return interval(self.setting, self.layout, "time")

    @property
    def memory_interval(self) -> Interval:
        """How sure the memory is."""
        return interval(self.setting, self.layout, "memory")

    @property
    def fits(self) -> bool:
        """Whether the fullest GPU's memory holds it."""
        return self.memory.total <= self.setting.cluster.gpu.memory_bytes

    @property
    def tokens_per_step(self) -> int:
        """Tokens of the global batch."""
        return self.layout.batch * self.setting.sequence

    @property
    def tokens_s(self) -> float:
        """Tokens per second, all GPUs together."""
        return self.tokens_per_step / self.step_s

    @property
    def tokens_s_gpu(self) -> float:
        """Tokens per second and GPU."""
        return self.tokens_s / self.layout.world

    @property
    def samples_s(self) -> float:
        """Sequences per second."""
        return self.layout.batch / self.step_s

    def flops_per_token(self, *, causal: bool = False) -> float:
        """Model FLOPs of one token; weights that are frozen have no gradients."""
        model = self.setting.model
        whole = model.flops_per_token(self.setting.sequence, causal=causal)
        unmade = 2.0 * (model.matmul_parameters + model.head_weights) if self.setting.frozen else 0
        return whole - unmade

    def mfu(self, *, causal: bool = False) -> float:
        """Model FLOPs utilisation, 0 to 1; `causal` counts only positions that a token can see."""
        flops = self.flops_per_token(causal=causal)
        return self.tokens_s_gpu * flops / self.peak_flops

    def hfu(self, *, causal: bool = False) -> float:
        """Hardware FLOPs utilisation, 0 to 1: as `mfu`, with what recomputation runs again."""
        again = recomputed_flops_per_token(self.setting, self.layout, causal=causal)
        return self.mfu(causal=causal) + self.tokens_s_gpu * again / self.peak_flops

    @property
    def peak_flops(self) -> float:
        """Dense peak of one GPU at the layout's precision."""
        return self.setting.cluster.gpu.peak_flops(self.layout.precision)

    @property
    def communication_share(self) -> float:
        """Exposed communication's share of the step."""
        return self.time.communication_s / self.step_s

    def training_s(self, tokens: float) -> float:
        """Seconds to train on `tokens` tokens, without restarts."""
        return tokens / self.tokens_s

    def training_cost(self, tokens: float, price_per_gpu_hour: float) -> float:
        """Cost of training on `tokens` tokens, in the price's currency."""
        return self.training_s(tokens) / 3600 * self.layout.world * price_per_gpu_hour

    def training_energy_j(self, tokens: float) -> float | None:
        """Energy of the GPUs alone for `tokens` tokens: `BUSY_POWER` of their limit, if stated."""
        power = self.setting.cluster.gpu.power_w * BUSY_POWER * self.layout.world
        return self.training_s(tokens) * power if power else None

    @property
    def amdahl_speedup(self) -> float:
        """Bound on the speed-up over this layout if only computation shrank (Amdahl 1967)."""
        rest = 1 - self.time.compute_s / self.step_s
        return 1 / rest if rest > 0 else float("inf")


def estimate(setting: Setting, layout: Layout, *, checked: bool = True) -> Estimate:
    """Estimate `layout` on `setting`.

    Raises:
        FieldError: the layout cannot be run (`checked`), or the GPU lacks the precision.
    """
    if checked:
        check_layout(layout, setting.model, setting.cluster, setting.sequence)
    return Estimate(
        setting=setting,
        layout=layout,
        memory=memory(setting, layout),
        time=step_time(setting, layout),
    )
