"""Process group of training workers on one machine, without an open network port.

`torch.distributed` would have the first worker listen on all interfaces.
"""

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train.backend import Backend
from ray.train.torch import TorchConfig


@dataclass
class LocalTorchConfig(TorchConfig):  # type: ignore[misc]  # Ray is untyped
    """A process group that meets in a file of a folder, and talks over loopback."""

    folder: str = ""

    @property
    def backend_cls(self) -> type[Backend]:
        """Backend class that starts and ends the group."""
        return _LocalBackend


class _LocalBackend(TorchConfig().backend_cls):  # type: ignore[misc]
    def on_start(self, worker_group: Any, backend_config: LocalTorchConfig) -> None:
        """Join all workers in a group, if there are several."""
        n = len(worker_group)
        if n == 1:
            return
        gpus = worker_group.get_resources_per_worker().get("GPU", 0)
        backend = backend_config.backend or ("nccl" if gpus else "gloo")
        file = Path(backend_config.folder, uuid.uuid4().hex)  # a new one at each start
        ray.get(
            [worker_group.execute_single_async(i, _join, file, backend, i, n) for i in range(n)]
        )


def _join(file: Path, backend: str, rank: int, n: int) -> None:
    """Join the group, in a worker."""
    from torch import distributed

    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback
    distributed.init_process_group(backend, init_method=f"file://{file}", rank=rank, world_size=n)
