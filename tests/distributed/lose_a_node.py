"""Train on two nodes of which one is lost midway; run by `test_a_lost_node_is_survived`."""

import os
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster
from tests.synthetic import make_dataset

from wolter.train.loop import Epoch, TrainConfig
from wolter.train.runner import ScaleConfig, train


def main(folder: Path) -> None:
    os.environ["RAY_AUTH_MODE"] = "disabled"
    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.1"
    dataset = make_dataset(folder / "records", 1500)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3})
    lost = cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    numbers: list[int] = []

    def lose(epoch: Epoch) -> None:
        numbers.append(epoch.number)
        if epoch.number == 2:
            cluster.remove_node(lost, allow_graceful=False)

    train(
        "mlp",
        dataset.path,
        config={"width": 16},
        train=TrainConfig(epochs=12, batch_size=8, device="cpu"),
        scale=ScaleConfig(workers=2, min_workers=1, threads_per_worker=1),
        on_epoch=lose,
    )
    print(f"finished {len(set(numbers))} epochs: {numbers}")
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
