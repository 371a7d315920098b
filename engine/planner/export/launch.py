"""The `torchrun` line: the same on every node."""

from ..cost.hardware import Cluster

HEAD_NODE = "$HEAD_NODE"
PORT = 29500

HEAD_NOTE = "Set HEAD_NODE to the first node's address, and start the line on every node."


def torchrun(cluster: Cluster, program: str) -> str:
    """`torchrun` over all of `cluster`, for `program` with its arguments.

    One node finds itself; more meet at the first one (torchrun's c10d rendezvous).
    """
    if cluster.nodes == 1:
        return f"torchrun --standalone --nproc_per_node {cluster.gpus} {program}"
    return (
        f"torchrun --nnodes {cluster.nodes} --nproc_per_node {cluster.node_gpus}"
        f" --rdzv_id prodtop --rdzv_backend c10d --rdzv_endpoint {HEAD_NODE}:{PORT} {program}"
    )


def launch_notes(cluster: Cluster) -> tuple[str, ...]:
    """What to know about the line: nothing on a single node."""
    return (HEAD_NOTE,) if cluster.nodes > 1 else ()
