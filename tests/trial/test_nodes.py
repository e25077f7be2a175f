"""A cluster of two raylets: a node that dies, its driver with it, and a node that does not see the shared folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from storage.database import open_existing
from storage.record import read_events
from tests.trial.study_checks import open_study

ROOT = Path(__file__).resolve().parents[2]
NAME, TRIALS, EPOCHS, PATIENCE_SECONDS = "gat_ablation", 4, 8, 240


@pytest.fixture
def cluster(ray_head: str) -> Iterator[Cluster]:
    """A head that computes on one CPU; its own, so that the tests' head stays as it is."""
    own = Cluster(
        initialize_head=True,
        connect=False,
        head_node_args={"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False},
    )
    yield own
    own.shutdown()


def start(runs: Path, panel: Path, address: str) -> subprocess.Popen[str]:
    arguments = [str(part) for part in (runs, panel, "", address, TRIALS, EPOCHS)]
    command = [sys.executable, "-m", "tests.trial.chaos_driver", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CHAOS_EPOCH_SECONDS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=-1, stderr=-2)


def wait_for_both(driver: subprocess.Popen[str], runs: Path) -> None:
    """Until both nodes have reported an epoch."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and driver.poll() is None:
        if len(list(runs.glob(f"{NAME}/*/0/checkpoint.safetensors"))) >= 2:
            return
        time.sleep(0.2)
    driver.kill()
    pytest.fail(f"the nodes did not begin; the driver said: {driver.communicate()[0]}")


def wait_for_nodes(cluster: Cluster, number: int) -> None:
    """Until the head knows so many."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(node["Alive"] for node in cluster.global_state.node_table()) < number:
        assert time.monotonic() < deadline, "a node did not join"
        time.sleep(0.2)


@pytest.mark.long
@pytest.mark.parametrize("driver_dies", [False, True])
def test_trials_of_a_dead_node_go_on_elsewhere_and_do_not_count_as_failures(
    cluster: Cluster, sweep_panel: Path, tmp_path: Path, driver_dies: bool
) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    driver = start(tmp_path, sweep_panel, cluster.address)
    wait_for_both(driver, tmp_path)
    if driver_dies:
        driver.kill()
        driver.communicate()
    cluster.remove_node(node, allow_graceful=False)
    if driver_dies:
        driver = start(tmp_path, sweep_panel, cluster.address)
    told, _ = driver.communicate(timeout=PATIENCE_SECONDS)
    assert driver.returncode == 0, told
    _, records = open_study(tmp_path, NAME)
    assert [record.state for record in records] == ["COMPLETE"] * TRIALS
    assert all([r["epoch"] for r in record.curve] == list(range(1, EPOCHS + 1)) for record in records)
    assert any(record.attributes["attempts"] == 2 for record in records)
    if not driver_dies:
        events = read_events(open_existing(f"sqlite:///{tmp_path}/sweeps.db"), NAME)
        assert [event.kind for event in events] == ["lost_node"]
        (moved,) = (record for record in records if record.attributes["attempts"] == 2)
        assert moved.attributes["retries"] == {"lost_node": 1}
        second = tmp_path / NAME / str(moved.number) / "1" / "began"
        assert int(second.read_text()) > 0, "it went on from its checkpoint"


@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="mount namespaces need root")
@pytest.mark.long
def test_a_node_that_does_not_see_the_runs_is_refused_by_name(
    cluster: Cluster, sweep_panel: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    join = f"{sys.executable} -m tests.trial.apart_node {cluster.address}"
    apart = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs tmpfs {runs} && exec {join}"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert apart.stdout is not None
        assert apart.stdout.readline() == "joined\n", apart.communicate()[1]
        wait_for_nodes(cluster, 2)
        driver = start(runs, sweep_panel, cluster.address)
        told, _ = driver.communicate(timeout=PATIENCE_SECONDS)
        assert driver.returncode != 0, told
        assert f"every node must see {runs}" in told
        assert told.count("cannot: ") == 1, told
        assert not list(runs.glob(f"{NAME}/*"))
        assert not list(runs.glob(".proof*"))
    finally:
        os.killpg(apart.pid, signal.SIGKILL)
