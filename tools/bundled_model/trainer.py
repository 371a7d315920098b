"""One training step and what it needs: optimizers, windows of tokens, the averaged weights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import Network, Shape

AVERAGE_EVERY_STEPS = 10
AVERAGE_WEIGHT = 0.02
"""Share of the new weights in the moving average: it looks back about 500 steps."""


@dataclass(frozen=True)
class Settings:
    """The choices of one run."""

    minutes: float
    batch_windows: int
    optimizer: str
    learning_rate: float
    embedding_learning_rate: float
    weight_decay: float
    warmup_steps: int
    evaluate_every_s: float
    validation_tokens: int | None
    finish_reserve_s: float
    compiled: bool
    seed: int
    max_steps: int | None


class Trainer:
    """A network in training: one `step` at a time, at a given share of the run."""

    def __init__(self, shape: Shape, settings: Settings, device: torch.device) -> None:
        torch.manual_seed(settings.seed)
        self.shape = shape
        self.settings = settings
        self.device = device
        self.network = Network(shape).to(device)
        self.average = [weight.detach().clone() for weight in self.network.parameters()]
        self.optimizers = optimizers(self.network, settings)
        self.peaks = [group["lr"] for o in self.optimizers for group in o.param_groups]
        self.steps = 0
        self._loss: Callable[[Tensor, Tensor], Tensor] = self._plain_loss
        if settings.compiled:
            self._loss = torch.compile(self._plain_loss, dynamic=False)

    def first_step(self, windows: Tensor) -> Tensor:
        """Take the first step; where the compiler fails, go on without it.

        Raises what a step without the compiler raises.
        """
        try:
            return self.step(windows, 0.0)
        except RuntimeError as error:
            if not self.settings.compiled:
                raise
            print(f"not compiled: {str(error).splitlines()[0]}", flush=True)
            self._loss = self._plain_loss
            self.network.zero_grad(set_to_none=True)
            return self.step(windows, 0.0)

    def step(self, windows: Tensor, progress: float) -> Tensor:
        """Step on `windows` `[batch, context + 1]`; return the loss, left on the device."""
        warm = min(1.0, (self.steps + 1) / self.settings.warmup_steps)
        scale = min(warm, 1.0 - progress)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, peak in zip(groups, self.peaks, strict=True):
            group["lr"] = peak * scale
        loss = self._loss(windows[:, :-1], windows[:, 1:])
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        if self.steps % AVERAGE_EVERY_STEPS == 0:
            weight = max(AVERAGE_WEIGHT, 1.0 / (1 + self.steps / AVERAGE_EVERY_STEPS))
            torch._foreach_lerp_(
                self.average, [p.detach() for p in self.network.parameters()], weight
            )
        return loss.detach()

    def averaged_network(self) -> Network:
        """Return a network with the moving average of the weights."""
        network = Network(self.shape).to(self.device)
        with torch.no_grad():
            for weight, mean in zip(network.parameters(), self.average, strict=True):
                weight.copy_(mean)
        return network

    def _plain_loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.network(inputs)
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def optimizers(network: Network, settings: Settings) -> list[torch.optim.Optimizer]:
    """Return what updates the weights.

    Muon (Jordan et al. 2024, with the step size of Liu et al. 2025, "Muon is Scalable") takes the
    matrices inside the layers, AdamW the embedding and the norms; or AdamW takes all. Norms do not
    decay.
    """
    named = list(network.named_parameters())
    norms = [weight for _, weight in named if weight.ndim < 2]
    embedding = [weight for name, weight in named if "embed_tokens" in name]
    matrices = [weight for name, weight in named if weight.ndim == 2 and "embed" not in name]
    decay, rate = settings.weight_decay, settings.learning_rate
    slow = settings.embedding_learning_rate
    groups = [
        {"params": embedding, "lr": slow, "weight_decay": decay},
        {"params": norms, "lr": slow, "weight_decay": 0.0},
    ]
    if settings.optimizer == "adamw":
        groups.append({"params": matrices, "lr": rate, "weight_decay": decay})
    fused = embedding[0].is_cuda
    chosen: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=fused)
    ]
    if settings.optimizer == "muon":
        chosen.append(
            torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        )
    return chosen


def window_batches(row: Tensor, batch: int, context: int, seed: int) -> Iterator[Tensor]:
    """Yield `[batch, context + 1]` windows of `row` `[tokens]` for ever.

    Each pass over the row cuts it at another offset and takes the windows in another order.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    reach = torch.arange(context + 1, device=row.device)
    while True:
        offset = int(torch.randint(context, (1,), generator=generator))
        starts = torch.arange(offset, len(row) - context - 1, context)
        starts = starts[torch.randperm(len(starts), generator=generator)].to(row.device)
        for begin in range(0, len(starts) - batch + 1, batch):
            yield row[starts[begin : begin + batch, None] + reach].long()
