"""Who runs a study leaves no trace: processes here, a Dask cluster without a common disk."""

import sys
from types import SimpleNamespace

import pytest

from sim import executors
from sim.executors import executor
from sim.limits import OptionError
from sim.output import ResultsError
from sim.scenario import load
from sim.study import Means, arm_of, run_study
from tests.small import SMALL, files


def test_two_dask_workers_write_the_same_bytes(tmp_path):
    """A real cluster: a scheduler and two worker processes; what comes back are the files of the parts."""
    distributed = pytest.importorskip("distributed")
    scenario = load("claim_storm", [*SMALL, "replications=3"])
    arms = [arm_of(scenario, name) for name in ("documented", "naive")]
    here = run_study(scenario, arms, "storm", means=Means(tmp_path / "here"))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        means = Means(tmp_path / "there", executor=f"dask={cluster.scheduler_address}")
        there = run_study(scenario, arms, "storm", means=means)
    assert files(there.directory) == files(here.directory)


@pytest.mark.parametrize("choice", ["spark", "dask=", "joblib=4", "", "=tcp://127.0.0.1:1"])
def test_what_is_no_executor_is_refused(choice):
    with pytest.raises(OptionError, match="is no executor"):
        executor(choice, 1)


def test_without_dask_one_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(OptionError, match=r"python -m pip install 'contention-sim\[dask\]'"),
        executor("dask", 1),
    ):
        pass


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "_PATIENCE_S", 0.3)
    with (
        pytest.raises(OptionError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 "),
        executor("dask=tcp://127.0.0.1:1", 1),
    ):
        pass


def test_workers_with_another_version_are_refused():
    """Other code would write other bytes."""

    class Client:
        class scheduler:  # noqa: N801 - as the client of Dask has it
            address = "tcp://127.0.0.1:8786"

        def wait_for_workers(self, count, timeout):
            pass

        def run(self, function):
            return {"tcp://127.0.0.1:4001": "0.0.9"}

    with pytest.raises(OptionError, match=r"4001 of the Dask cluster .* has contention-sim 0\.0\.9"):
        executors._Dask(None, Client())


ADDRESS = "tcp://10.0.0.5:8786"


class KilledWorker(Exception):  # noqa: N818 - as Dask calls it
    pass


class Cluster:
    """Two workers that do what they are sent when they are asked for it, and count what is under way."""

    loop = None
    scheduler = SimpleNamespace(address=ADDRESS, KilledWorker=KilledWorker)
    CancelledError = TimeoutError

    def __init__(self, version=None):
        self.version = version or executors.version()
        self.sent, self.most = [], 0

    # What a client does

    def wait_for_workers(self, count, timeout):
        if self.version == "none there":
            raise TimeoutError

    def run(self, function):
        if self.version == "not installed":
            raise ImportError
        return {"a": self.version, "b": self.version}

    def nthreads(self):
        return {"a": 2, "b": 2}

    def submit(self, function, *arguments, pure):
        return SimpleNamespace(result=lambda: function(*arguments))

    # What the module does

    def as_completed(self, loop):
        return self

    def add(self, future):
        self.sent.append(future)
        self.most = max(self.most, len(self.sent))

    def __next__(self):
        return self.sent.pop(0)


def test_a_cluster_has_a_task_for_each_worker_and_one_in_reserve():
    """Of nine tasks for two workers never more than four are under way; every answer comes once."""
    cluster = Cluster()
    answers = list(executors._Dask(cluster, cluster).run(divmod, [(number, 4) for number in range(9)]))
    assert answers == [divmod(number, 4) for number in range(9)]
    assert (cluster.most, cluster.sent) == (4, [])


@pytest.mark.parametrize(
    ("error", "reason"), [(KilledWorker("a died\nwith all it had"), "a died"), (OSError(), "OSError")]
)
def test_a_cluster_that_gives_up_is_told_of_and_the_rest_kept(error, reason):
    def fail():
        raise error

    cluster = Cluster()
    with pytest.raises(ResultsError) as told:
        list(executors._Dask(cluster, cluster).run(fail, [()]))
    assert str(told.value) == (
        f"the Dask cluster at {ADDRESS} gave up ({reason}); the finished replications are kept, the same "
        "command goes on from there"
    )


def test_what_the_user_did_wrong_is_not_the_clusters_fault():
    def fail():
        raise OptionError("own words")

    cluster = Cluster()
    with pytest.raises(OptionError, match=r"^own words$"):
        list(executors._Dask(cluster, cluster).run(fail, [()]))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("none there", f"the Dask cluster at {ADDRESS} has no workers"),
        ("not installed", f"a worker of the Dask cluster at {ADDRESS} has contention-sim none, here it is "),
    ],
)
def test_workers_that_cannot_run_anything_are_refused(found, words):
    cluster = Cluster(found)
    with pytest.raises(OptionError) as told:
        executors._Dask(cluster, cluster)
    assert str(told.value).startswith(words)


def _die(_):
    import os

    os._exit(1)


def test_a_worker_that_is_killed_is_told_of_and_the_rest_kept():
    """As when the system runs out of memory."""
    with (
        pytest.raises(ResultsError, match=r"ended from outside.*--max-memory.*replications are kept"),
        executor("joblib", 2) as pool,
    ):
        list(pool.run(_die, [(1,), (2,)]))
