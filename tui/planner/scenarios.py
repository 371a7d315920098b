"""The three scenarios that one key sets up: 1B, 7B and 70B on 32 GPUs."""

from collections.abc import Mapping

_COMMON = {
    "gpu": "h100-sxm",
    "gpus": "32",
    "node": "auto",
    "network": "auto",
    "price": "auto",
    "limit": "auto",
    "sequence": "4096",
    "vp": "1",
    "cp": "1",
    "ep": "1",
    "shard": "all",
    "sequence_parallel": "auto",
    "recompute": "none",
    "schedule": "1f1b",
    "offload": "none",
    "precision": "bf16",
    "optimizer": "adamw",
}

SCENARIOS: Mapping[str, Mapping[str, str]] = {
    "1B": _COMMON
    | {
        "model": "generic-1b",
        "batch": "256",
        "tokens": "100B",
        "tp": "1",
        "pp": "1",
        "micro_batch": "4",
        "zero": "1",
        "software": "megatron-core",
    },
    "7B": _COMMON
    | {
        "model": "generic-7b",
        "batch": "256",
        "tokens": "1T",
        "tp": "1",
        "pp": "1",
        "micro_batch": "1",
        "zero": "1",
        "software": "megatron-core",
    },
    "70B": _COMMON
    | {
        "model": "generic-70b",
        "batch": "128",
        "tokens": "2T",
        "tp": "8",
        "pp": "2",
        "micro_batch": "1",
        "zero": "1",
        "recompute": "selective",
        "software": "megatron-core",
    },
}
