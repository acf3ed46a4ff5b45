"""Who runs a study leaves no trace: processes here, a Dask cluster without a common disk."""

import sys

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
