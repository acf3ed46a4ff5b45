"""Every case of the theory table: a scenario, what theory says of it, and the seed, fixed before any run.

The seed of a case is :data:`FIRST_SEED` plus its position in :data:`CASES`. New cases are added at the end; a
seed is never changed, whatever comes of it, and a bug that is found and mended leaves it as it was. Each case
has :data:`REPLICATIONS` replications.

Warm-up: at least five relaxation times, work / (c (1 - sqrt(rho))^2), for queues that may grow (Karlin and
McGregor, "Many server queueing processes with Poisson input and exponential service times", Pacific Journal
of Mathematics 8, 1958); twenty mean holding times for loss systems, which forget faster. A run lasts at
least fifty relaxation times: the mean wait of a shorter one is so skewed that Student's t does not fit it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.theory import formulas, models
from tests.theory.notified import Notified

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.replication import RunResult
    from sim.scenario import Scenario

FIRST_SEED: Final = 20261126
REPLICATIONS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the table.

    Attributes
    ----------
    family, name : str
        Which theory; which numbers.
    measure, unit : str
        What is compared, and in which unit.
    model : dict
        The scenario, but for its seed.
    expected : float
        What theory says, the offset included.
    offset : str
        What the simulated system does besides the queue of theory, and how it is accounted for.
    observe : Callable
        Gives (x, y) of a replication; the simulated value is the ratio of their means.
    created_after_us : int or None
        Where idle workers are notified (:class:`Notified`): the time from an arrival to its creation.
    """

    family: str
    name: str
    measure: str
    unit: str
    model: dict[str, Any]
    expected: float
    offset: str
    observe: Callable[[RunResult], models.Observation]
    created_after_us: int | None = None

    def policy(self, scenario: Scenario, replication: int) -> Any:
        """Give the retry policy of a replication."""
        if self.created_after_us is None:
            return scenario.retry
        return Notified(
            scenario, replication, created_after_us=self.created_after_us, reply_us=models.LINK_US
        )


EXPONENTIAL: Final = {"exponential": {"mean": "1s"}}
CONSTANT: Final = "1s"

# Beside the work a slot is held from ADMITTED on: reply, creation, the woken worker's read and grant (there
# and back), claim; then the claim's reply and the completion's request. Nine delays of 1 us.
HELD_BESIDES_S: Final = 9e-6
# A server is taken from claim to claim: reply, completion, read and grant (there and back), the next claim.
TAKEN_BESIDES_S: Final = 8e-6
# From its creation a woken worker's read and grant (there and back) and its claim.
FOUND_AFTER_S: Final = 5e-6


def loss(cap: int, load: float, work: str, arrivals: int = 1500) -> Case:
    """Make a case of Erlang's loss formula; ``load`` is offered Erlang for each unit of the cap."""
    rate = cap * load
    draws = EXPONENTIAL if work == "exponential" else CONSTANT
    return Case(
        family="Erlang B",
        name=f"cap {cap}, load {load:g} a slot, {work} work",
        measure="blocking share",
        unit="1",
        model={**models.loss_system(cap, rate, draws), "horizon": models.horizon(20, arrivals / rate)},
        expected=formulas.erlang_b(cap, rate * (1 + HELD_BESIDES_S)),
        offset="slot held 9 us longer than the work of 1 s: in the load",
        observe=models.blocked_arrivals,
        created_after_us=3,
    )


def window(limit: int, load: float, arrivals: int = 3000) -> Case:
    """Make a case of a sliding window of 10 s; ``load`` is the arrival rate in units of the limit."""
    rate = limit * load / 10
    held_s = 10 - 0.0005
    return Case(
        family="sliding window",
        name=f"limit {limit} in 10 s, arrivals {load:g} of it",
        measure="admissions",
        unit="1/s",
        model={
            **models.sliding_window(limit, 10, rate),
            "horizon": models.horizon(200, arrivals / rate),
        },
        expected=rate * (1 - formulas.erlang_b(limit, rate * held_s)),
        offset="an admission counts from its whole millisecond on: window 0.5 ms shorter on average",
        observe=models.admitted_per_second,
    )


def workers(
    count: int, utilisation: float, warmup_s: float, run_s: float, work: Any = None, cv2: float = 1.0,
    shape: str = "exponential",
) -> Case:  # fmt: skip
    """Make a case of workers as servers, with work of mean 1 s: M/M/c, or M/G/1 for one worker."""
    rate = count * utilisation
    taken_s = 1 + TAKEN_BESIDES_S
    if count == 1:
        # The 8 us are constant: they add to the mean, not to the variance.
        wait = formulas.mg1_wait(rate, taken_s, cv2 / taken_s**2)
    else:
        wait = formulas.mmc_wait(count, rate, taken_s)
    model = models.servers(count, rate, EXPONENTIAL if work is None else work)
    return Case(
        family="M/M/c" if work is None else "M/G/1",
        name=f"{count} worker{'s' * (count > 1)}, utilisation {utilisation:g}, {shape} work",
        measure="mean wait for a lease",
        unit="s",
        model={**model, "horizon": models.horizon(warmup_s, run_s, 600)},
        expected=wait + FOUND_AFTER_S,
        offset="no poll (idle workers are notified); 5 us to find and claim, 8 us more work: in the formula",
        observe=models.waits_for_a_lease_s,
        created_after_us=1,
    )


def store(utilisation: float, service: str, warmup_s: float, run_s: float) -> Case:
    """Make a case of a partition as a server, 10 ms an operation."""
    rate, cv2 = utilisation / 0.01, 1.0 if service == "exponential" else 0.0
    draws = {"exponential": {"mean": "10ms"}} if cv2 else "10ms"
    return Case(
        family="M/M/1 store" if cv2 else "M/D/1 store",
        name=f"utilisation {utilisation:g}, {service} service",
        measure="mean queueing delay",
        unit="s",
        model={**models.partition(rate, draws), "horizon": models.horizon(warmup_s, run_s, 10)},
        expected=formulas.mg1_wait(rate, 0.01, cv2),
        offset="none (the request's delay is taken off)",
        observe=models.waits_for_the_store_s,
    )


def collision(count: int, link_us: int, trials: int = 200) -> Case:
    """Make a case of direct claimers that poll once in 100 ms, in so many trials a replication."""
    return Case(
        family="collision",
        name=f"{count} claimers, link {link_us / 1000:g} ms each way, cycle 100 ms",
        measure="share of new executions contended for",
        unit="1",
        model=models.claimers(count, link_us, trials),
        expected=formulas.collision(count, models.POLL_CYCLE_US, 2 * link_us),
        offset="none",
        observe=models.contended_trials,
    )


def lapse(ttl_s: int, renew_every_s: int, pause_s: float, count: int = 100) -> Case:
    """Make a case of holders that are paused for a while, so many a replication."""
    return Case(
        family="lapse",
        name=f"lease {ttl_s} s, renewed every {renew_every_s} s, pause of mean {pause_s:g} s",
        measure="share of leases lapsed",
        unit="1",
        model=models.paused_holders(count, ttl_s, renew_every_s, pause_s),
        expected=formulas.lapse(ttl_s - 0.0005, renew_every_s, pause_s),
        offset="a lease counts from its whole millisecond on: slack 0.5 ms shorter on average",
        observe=models.lapsed_leases,
    )


_TWO_PHASES: Final = [
    {"weight": 0.9, "of": {"exponential": {"mean": "500ms"}}},
    {"weight": 0.1, "of": {"exponential": {"mean": "5500ms"}}},
]
# E[S] = 0.9 * 0.5 + 0.1 * 5.5 = 1; E[S^2] = 2 (0.9 * 0.25 + 0.1 * 30.25) = 6.5, hence cv2 = 5.5.

CASES: Final = (
    *(
        loss(cap, load, work)
        for work in ("exponential", "constant")
        for cap, loads in (
            (1, (0.5, 1.0, 1.5)),
            (2, (0.5, 1.0, 1.5)),
            (5, (0.5, 1.0, 1.5)),
            (10, (0.5, 1.0, 1.5)),
            # A load of 0.5 blocks 2 in 1,000 here, and 3 in a million at 50: too rare for an interval.
            (20, (0.75, 1.0, 1.5)),
            (50, (0.9, 1.0, 1.5)),
        )
        for load in loads
    ),
    *(window(limit, load) for limit, load in ((1, 0.5), (1, 1.5), (5, 0.8), (5, 1.5), (20, 0.9), (20, 1.2),
                                              (50, 1.0), (50, 1.5))),
    workers(1, 0.5, 150, 5000),
    workers(1, 0.7, 250, 5000),
    workers(1, 0.8, 600, 6000),
    workers(2, 0.7, 200, 3000),
    workers(4, 0.8, 200, 1500),
    workers(6, 0.8, 150, 750),
    workers(10, 0.85, 150, 820),
    workers(1, 0.5, 150, 5000, CONSTANT, 0.0, "constant"),
    workers(1, 0.8, 400, 5000, CONSTANT, 0.0, "constant"),
    workers(1, 0.7, 250, 5000, {"uniform": {"from": "0s", "to": "2s"}}, 1 / 3, "uniform"),
    workers(1, 0.7, 250, 5000, {"gamma": {"shape": 2, "mean": "1s"}}, 0.5, "gamma (shape 2)"),
    workers(1, 0.6, 300, 6000, {"lognormal": {"mean": "1s", "cv": 1.2}}, 1.44, "lognormal (cv 1.2)"),
    workers(1, 0.5, 500, 8000, {"mixture": _TWO_PHASES}, 5.5, "two-phase exponential (cv2 5.5)"),
    *(store(utilisation, service, warmup_s, run_s)
      for service in ("constant", "exponential")
      for utilisation, warmup_s, run_s in ((0.3, 1, 200), (0.6, 2, 100), (0.9, 25, 190))),
    *(collision(*numbers) for numbers in ((2, 2500), (4, 2500), (8, 1000), (8, 2500), (16, 2500))),
    *(lapse(*numbers) for numbers in ((30, 10, 10.0), (30, 10, 30.0), (10, 3, 5.0), (60, 20, 15.0))),
)  # fmt: skip


SMOKE: Final = (
    loss(2, 1.0, "exponential", arrivals=150),
    window(5, 0.8, arrivals=200),
    workers(1, 0.5, 60, 600),
    store(0.6, "exponential", 1, 8),
    collision(4, 2500, trials=20),
    lapse(10, 3, 5.0, count=50),
)
"""A short case of each family, for the default suite; the seeds follow from :data:`FIRST_SMOKE_SEED`."""

FIRST_SMOKE_SEED: Final = FIRST_SEED + 1000


def seed_of(case: Case) -> int:
    """Give the seed of a case, of the table or of the short ones."""
    if case in SMOKE:
        return FIRST_SMOKE_SEED + SMOKE.index(case)
    return FIRST_SEED + CASES.index(case)
