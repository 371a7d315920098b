"""The GPU that this process uses, asked of the driver rather than of torch."""

import os
from collections.abc import Callable, Sequence
from functools import partial

from .nvml_api import Handle, Nvml
from .nvml_query import (
    GpuLostError,
    Refusal,
    Reply,
    ask,
    field,
    memory_used_and_total,
    process_bytes,
    text,
    whole,
)


class OwnGpu:
    """What this process holds on one GPU, and the GPU's energy. Each may be missing by itself.

    `names` are UUIDs under which NVML may know it (see `own_gpu_names`), tried in their order. Make
    it before the process first uses the GPU. Where NVML lists the process, that is the answer to
    how much it holds. In a container it often does not: then it is torch's reserve plus what the
    CUDA context took, measured as the growth of the device's used memory between construction and
    `context_created`; that is right if nobody else's share changed in between.

    A MIG instance has its own memory, and the energy and the UUID of the card that it is part of.
    """

    def __init__(self, load: Callable[[], Nvml], *names: str) -> None:
        self.uuid = names[0] if names else ""
        """By which NVML's samples name the card."""
        self._nvml: Nvml | None = None
        self._device: Handle = None
        self._card: Handle = None
        self._context_bytes: int | None = None
        self._used_before: int | None = None
        nvml = ask(load)
        if isinstance(nvml, Refusal) or isinstance(ask(lambda: nvml.nvmlInit()), Refusal):
            return
        device = _first_known(nvml, names)
        if isinstance(device, Refusal):
            return
        self._nvml, self._device = nvml, device
        self._card = _card_of(nvml, device)
        self.uuid = text(lambda: nvml.nvmlDeviceGetUUID(self._card)) or self.uuid
        self._used_before = self._device_used()

    def context_created(self, reserved_bytes: int) -> None:
        """Call once the CUDA context exists and torch has reserved `reserved_bytes`."""
        used = self._device_used()
        if used is not None and self._used_before is not None:
            self._context_bytes = max(0, used - self._used_before - reserved_bytes)

    def held_bytes(self, reserved_bytes: int) -> int | None:
        """Bytes held now, while torch reserves `reserved_bytes`; `None` where nobody can say."""
        listed = self._ask(lambda nvml: process_bytes(nvml, self._device, {os.getpid()}))
        if listed is not None:
            return listed
        return None if self._context_bytes is None else reserved_bytes + self._context_bytes

    def energy_j(self) -> float | None:
        """Joules of the whole card since the driver was loaded, or `None` without a counter."""
        return self._ask(
            lambda nvml: field(
                nvml, lambda: whole(nvml.nvmlDeviceGetTotalEnergyConsumption(self._card)) / 1e3
            )
        )

    def _device_used(self) -> int | None:
        return self._ask(lambda nvml: memory_used_and_total(nvml, self._device)[0])

    def _ask(self, query: Callable[[Nvml], Reply | None]) -> Reply | None:
        """The reply, or `None` where there is none or the GPU is lost."""
        if self._nvml is None:
            return None
        try:
            return query(self._nvml)
        except GpuLostError:
            return None


def own_gpu_names(uuid: str) -> tuple[str, ...]:
    """What NVML may call the device of CUDA's `uuid`: CUDA's own has no prefix."""
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    return f"GPU-{bare}", f"MIG-{bare}"


def _first_known(nvml: Nvml, names: Sequence[str]) -> Handle | Refusal:
    handles = [ask(partial(nvml.nvmlDeviceGetHandleByUUID, name)) for name in names]
    known = (handle for handle in handles if not isinstance(handle, Refusal))
    return next(known, Refusal(LookupError("NVML knows no such GPU")))


def _card_of(nvml: Nvml, device: Handle) -> Handle:
    """The card that a MIG instance is part of; another device is one itself."""
    is_instance = ask(lambda: bool(nvml.nvmlDeviceIsMigDeviceHandle(device)))
    if is_instance is not True:
        return device
    card = ask(lambda: nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device))
    return device if isinstance(card, Refusal) else card
