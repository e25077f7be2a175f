"""A second raylet of a cluster, in the namespaces of this process: `python -m tests.trial.apart_node ADDRESS`."""

from __future__ import annotations

import sys

from ray._private.node import Node
from ray._private.parameter import RayParams

if __name__ == "__main__":
    parameters = RayParams(
        gcs_address=sys.argv[1],
        node_ip_address="127.0.0.1",
        num_cpus=1,
        object_store_memory=100 * 2**20,
        include_log_monitor=False,
        node_manager_port=0,
        dashboard_agent_listen_port=None,
    )
    Node(parameters, head=False, shutdown_at_exit=True, spawn_reaper=True)
    print("joined", flush=True)
    sys.stdin.read()
