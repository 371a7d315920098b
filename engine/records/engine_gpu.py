"""Which of a machine's GPUs is the one that the engine is on."""

from collections.abc import Sequence

from ..protocol import Frame, GpuSample


def engine_gpu(frame: Frame | None, gpus: Sequence[GpuSample]) -> GpuSample | None:
    """The engine's own GPU among those that NVML lists; `None` where it is none of them.

    The UUID that the frame names decides: the driver's order need not be CUDA's, containers and
    `CUDA_VISIBLE_DEVICES` renumber, and cards come and go. A frame without one, of an engine that
    could not ask, leaves the card that lists the engine's process, then the one of CUDA's number.
    """
    if frame is not None and frame.attached is not None:
        return _of_attached(gpus)
    if frame is not None and not frame.device.startswith("cuda"):
        return None
    if frame is not None and frame.gpu_uuid:
        return next((gpu for gpu in gpus if gpu.uuid == frame.gpu_uuid), None)
    holding = [gpu for gpu in gpus if gpu.process_bytes]
    if holding:
        return max(holding, key=lambda gpu: gpu.process_bytes or 0)
    if frame is None:
        return None
    number = frame.device.partition(":")[2] or "0"
    return next((gpu for gpu in gpus if str(gpu.index) == number), None)


def _of_attached(gpus: Sequence[GpuSample]) -> GpuSample | None:
    """The card that lists a process of the server's, or the only one there is."""
    holding = [gpu for gpu in gpus if gpu.process_bytes]
    if holding:
        return max(holding, key=lambda gpu: gpu.process_bytes or 0)
    return gpus[0] if len(gpus) == 1 else None


def in_order(gpus: Sequence[GpuSample], frame: Frame | None = None) -> list[GpuSample]:
    """The engine's GPU first, the others by their index."""
    own = engine_gpu(frame, gpus)
    return sorted(gpus, key=lambda gpu: (gpu is not own, gpu.index))
