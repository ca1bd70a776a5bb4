"""A program with a cluster of two labelled nodes: prints whether data actors keep to the one that they may use."""

import ray
from ray.cluster_utils import Cluster
from ray_workers import Whereabouts

from raydet.distributed.rows import ActorPool, RowStream

if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "labels": {"pool": "train"}})
    data_node = cluster.add_node(num_cpus=1, labels={"pool": "data"})
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    pool = ActorPool(size=2, cpus=0.4, label_selector={"pool": "data"})
    stream = RowStream(Whereabouts, (), [{"number": number} for number in range(12)], pool)
    nodes = {columns["node"].tobytes().decode() for columns in stream}
    print("kept" if nodes == {data_node.node_id} else f"strayed: {nodes}, wanted {data_node.node_id}")
    ray.shutdown()
    cluster.shutdown()
