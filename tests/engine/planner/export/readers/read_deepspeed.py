"""DeepSpeed reads its JSON and checks batches and experts against the world."""

import json
from unittest.mock import patch

import deepspeed.runtime.config
from deepspeed.module_inject.auto_ep_config import validate_autoep_config
from deepspeed.runtime.config import DeepSpeedConfig
from reader_loop import Answer, serve


class Ranks:
    """What DeepSpeed asks a model-parallel unit: how many ranks split the batch."""

    def __init__(self, data_parallel: int) -> None:
        self.data_parallel = data_parallel

    def get_data_parallel_world_size(self) -> int:
        return self.data_parallel


def read(text: str, world: int) -> Answer:
    values = json.loads(text)
    tensor = values.get("tensor_parallel", {}).get("autotp_size", 1)
    with patch.object(deepspeed.runtime.config.dist, "get_rank", return_value=0):
        config = DeepSpeedConfig(values, mpu=Ranks(world // tensor))
    zero = config.zero_config
    validate_autoep_config(
        config.expert_parallel_config,
        world_size=world,
        pp_size=1,
        tp_size=tensor,
        sp_size=1,
        zero_stage=int(zero.stage),
        zero_offload_optimizer=zero.offload_optimizer is not None,
        zero_offload_param=zero.offload_param is not None,
    )
    experts = config.expert_parallel_config
    return {
        "world": config.world_size,
        "batch": config.train_batch_size,
        "micro_batch": config.train_micro_batch_size_per_gpu,
        "micro_batches": config.gradient_accumulation_steps,
        "stage": int(zero.stage),
        "tp": config.tensor_parallel_config.autotp_size,
        "ep": experts.autoep_size if experts.enabled else 1,
        "bf16": config.bfloat16_config.enabled,
        "fp16": config.float16_config.enabled,
        "optimizer": config.optimizer_name,
        "learning_rate": config.optimizer_params["lr"],
        "offload_optimizer": None if zero.offload_optimizer is None else "cpu",
        "offload_param": None if zero.offload_param is None else "cpu",
    }


serve(read)
