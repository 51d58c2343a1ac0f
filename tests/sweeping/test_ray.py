"""A sweep on a Ray cluster of two nodes, one of which dies."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from neurflow.errors import WorkError
from neurflow.sweeping import OnRay, ray_engine
from neurflow.sweeping.plan import job_of
from tests.sweeping.conftest import ALL, circuits
from tests.sweeping.test_sweep import states
from tests.waiting import until

ray = pytest.importorskip("ray")


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    running = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield running
    ray.shutdown()
    running.shutdown()


@pytest.mark.filterwarnings("ignore")  # warnings of Ray about files that it leaves open
def test_the_loss_of_a_node_loses_no_work(sweep, alone, cluster, load, gate, tmp_path):
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    out = tmp_path / "out"
    sweep(["ant"])  # finished earlier
    gate.mkdir()
    over = threading.Event()

    def remove_node():
        until(lambda: len(list(gate.iterdir())) == 2, lambda: not over.is_set())
        cluster.remove_node(node, allow_graceful=False)  # in the middle of its work
        gate.rename(tmp_path / "open")

    with ThreadPoolExecutor(1) as pool:
        removed = pool.submit(remove_node)
        found = sweep([*ALL, "block2/3"], engine=OnRay(2, cluster.address))
        over.set()
        removed.result()
    assert set(states(found).values()) == {"done"}
    assert not node.any_processes_alive()
    assert circuits(out).items() >= alone.items()
    assert job_of(load().target("block2/3")).name in circuits(out)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_without_free_resources_is_reported(sweep, cluster, monkeypatch):
    monkeypatch.setattr(ray_engine, "PATIENCE", 1.0)
    with pytest.raises(
        WorkError, match="worker with 1 processors and 2 GPUs: nodes have at most 1 processors"
    ):
        sweep(ALL, engine=OnRay(2, cluster.address, gpus=2))


@pytest.mark.filterwarnings("ignore")
def test_workers_share_a_gpu_by_fractions(sweep, alone, cluster, tmp_path):
    cluster.add_node(num_cpus=2, num_gpus=1)  # Ray believes it
    cluster.wait_for_nodes()
    found = sweep(ALL[:2], engine=OnRay(2, cluster.address, gpus=0.5))
    assert set(states(found).values()) == {"done"}
    assert circuits(tmp_path / "out").items() <= alone.items()


@pytest.mark.parametrize(
    ("address", "variable", "own"),
    [(None, None, True), (None, "10.0.0.1:6379", False), ("auto", None, False)],
)
def test_a_local_cluster_has_no_dashboard_and_no_open_ports(monkeypatch, address, variable, own):
    given = {}

    def init(**options):
        given.update(options)
        raise ConnectionError("far enough")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    with pytest.raises(WorkError, match="far enough"):
        next(iter(OnRay(1, address).run(None, [])))
    assert (given.get("include_dashboard"), given.get("_node_ip_address")) == (
        (False, "127.0.0.1") if own else (None, None)
    )
