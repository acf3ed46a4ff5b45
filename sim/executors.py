"""Who carries out the replications of a study: processes of this machine, or a Dask cluster.

An executor calls one function with many arguments and gives the answers as they come. What the function does
with a part is told by ``shares_disk``: processes of this machine write it where it belongs; the workers of a
cluster may not see the same disk, so they send its files back. Never more tasks are under way than there are
workers and one in reserve for each, so memory holds few answers whatever the size of the study.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from functools import cache
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Final, Protocol

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from sim.limits import OptionError
from sim.output import ResultsError, version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    Task = tuple[Any, ...]

_PATIENCE_S: Final = 10
_ORPHAN_CHECK_S: Final = 1.0
_KEPT: Final = "the finished replications are kept, the same command goes on from there"

# Python runs one thread at a time, and a run sets the collector of its process: so do its runs.
_ONE_AT_A_TIME: Final = threading.Lock()


class Executor(Protocol):
    """What carries out tasks."""

    shares_disk: bool

    def run(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Iterator[Any]:
        """Call ``function(*task)`` for every task; give the answers in the order in which they come.

        Other processes may begin at once; this one does nothing before the first answer is asked for.
        """


def executor(choice: str, jobs: int) -> AbstractContextManager[Executor]:
    """Give what carries out a study.

    Parameters
    ----------
    choice
        ``joblib``: processes of this machine. ``dask``: a Dask cluster of this machine's processes, made for
        this study. ``dask=ADDRESS``: the cluster whose scheduler listens there, such as
        ``dask=tcp://10.0.0.5:8786``.
    jobs
        How many processes of this machine.

    Raises
    ------
    OptionError
        When there is no such executor, when Dask is not installed, when the cluster does not answer or runs
        another version of contention-sim.
    """
    name, equals, address = choice.partition("=")
    if name == "joblib" and not equals:
        return _joblib(jobs)
    if name == "dask" and bool(equals) == bool(address):
        return _dask(jobs, address or None)
    raise OptionError(f"{choice!r} is no executor (try 'joblib', 'dask' or 'dask=tcp://HOST:8786')")


@contextmanager
def _unheard_interrupts() -> Iterator[None]:
    """Start processes that never hear Ctrl-C, which a terminal sends to all: who started them ends them.

    The mask of blocked signals is inherited. An interruption that comes meanwhile is met at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # or it starts below, and lets interruptions through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- this machine -------------------------------------------------------------------------------------


@contextmanager
def _joblib(jobs: int) -> Iterator[Executor]:
    yield _Joblib(jobs)


class _Joblib:
    """Processes of this machine; with one job, this process."""

    shares_disk = True

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs

    def run(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Iterator[Any]:
        calls = (joblib.delayed(_follow)(os.getpid(), function, task) for task in tasks)
        parallel = joblib.Parallel(
            n_jobs=max(1, min(self._jobs, len(tasks))),
            return_as="generator_unordered",
            # A replication is a long task: batches of several would only keep the last ones waiting.
            batch_size=1,
        )
        with _unheard_interrupts():
            answers = parallel(calls)  # starts the processes
        return _received(answers)


def _received(answers: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from answers
    except TerminatedWorkerError:
        raise ResultsError(
            "a worker process was ended from outside, as a system does that runs out of memory: try "
            f"fewer --jobs or a --max-memory; {_KEPT}"
        ) from None


def _follow(client: int, function: Callable[..., Any], task: Task) -> Any:
    """Call the function; in a process of its own, end with the one that asked for it."""
    if os.getpid() != client:
        _end_when_orphaned()
    return function(*task)


@cache
def _end_when_orphaned() -> None:
    """Watch, once a process, whether the parent still lives: a killed one cannot say that it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_ORPHAN_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


# --- a cluster ----------------------------------------------------------------------------------------


@contextmanager
def _dask(jobs: int, address: str | None) -> Iterator[Executor]:
    try:
        import distributed
    except ImportError:
        raise OptionError(
            "the executor 'dask' needs Dask: python -m pip install 'contention-sim[dask]'"
        ) from None
    with _cluster(distributed, jobs, address) as place, _client(distributed, place) as client:
        yield _Dask(distributed, client)


@contextmanager
def _cluster(distributed: Any, jobs: int, address: str | None) -> Iterator[str]:
    """Give the address of the cluster; make one of this machine's processes where there is none."""
    if address is not None:
        yield address
        return
    with _unheard_interrupts():
        made = distributed.LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,  # --max-memory is the limit; Dask's own would kill workers that are in order
            silence_logs="CRITICAL",
        )
    with made:
        yield made.scheduler_address


@contextmanager
def _client(distributed: Any, address: str) -> Iterator[Any]:
    client = None
    try:
        try:
            # One that is interrupted while it is made would try to close itself when the cluster is gone.
            with _unheard_interrupts():
                client = distributed.Client(address, timeout=_PATIENCE_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise OptionError(f"no Dask scheduler answers at {address} ({_reason(error)})") from None
        yield client
    finally:
        if client is not None:
            client.close()


class _Dask:
    """The workers of a Dask cluster."""

    shares_disk = False

    def __init__(self, distributed: Any, client: Any) -> None:
        self._distributed = distributed
        self._client = client
        self._address = client.scheduler.address
        self._check_versions()

    def run(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Iterator[Any]:
        waiting = iter(tasks)
        running = self._distributed.as_completed(loop=self._client.loop)
        under_way = 0

        def send() -> int:
            task = next(waiting, None)
            if task is None:
                return 0
            running.add(self._client.submit(_alone, function, task, pure=False))
            return 1

        try:
            for _ in range(2 * max(1, len(self._client.nthreads()))):
                under_way += send()
            while under_way:
                answer = next(running).result()
                under_way += send() - 1
                yield answer
        except (ResultsError, OptionError):
            raise
        except (
            self._distributed.scheduler.KilledWorker,
            self._distributed.CancelledError,
            OSError,
        ) as error:
            raise ResultsError(
                f"the Dask cluster at {self._address} gave up ({_reason(error)}); {_KEPT}"
            ) from None

    def _check_versions(self) -> None:
        """Refuse workers that would write other results than this process."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE_S)
            found = self._client.run(version)
        except TimeoutError:
            raise OptionError(f"the Dask cluster at {self._address} has no workers") from None
        except ImportError:
            found = {"a worker": "none"}
        other = {worker: theirs for worker, theirs in found.items() if theirs != version()}
        for worker, theirs in sorted(other.items()):
            raise OptionError(
                f"{worker} of the Dask cluster at {self._address} has contention-sim {theirs}, here it is "
                f"{version()}: install the same version on every worker"
            )


def _alone(function: Callable[..., Any], task: Task) -> Any:
    """Call the function when no other thread of this worker runs a replication."""
    with _ONE_AT_A_TIME:
        return function(*task)


def _reason(error: BaseException) -> str:
    first = str(error).partition("\n")[0]
    return first or type(error).__name__
