"""What theory says, each formula with its source. Times in any unit, the same one throughout a call."""

from __future__ import annotations

from math import exp


def erlang_b(servers: int, load: float) -> float:
    """Give the share of arrivals that find all servers busy, where such arrivals are lost.

    B(0) = 1, B(c) = a B(c-1) / (c + a B(c-1)) for an offered load of a Erlang (arrival rate times mean
    holding time). Holds for any distribution of holding times with that mean: insensitivity (Sevastyanov,
    "An ergodic theorem for Markov processes and its application to telephone systems with refusals",
    Theory of Probability and its Applications 2, 1957). A sliding window of a rate limit is such a system: an
    admission holds one of ``servers`` places for the window's length.
    """
    blocked = 1.0
    for busy in range(1, servers + 1):
        blocked = load * blocked / (busy + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Give the share of arrivals that have to wait in M/M/c, for a load of less than ``servers`` Erlang.

    C = B / (1 - (a / c) (1 - B)) (Gross and Harris, *Fundamentals of Queueing Theory*, chapter 2).
    """
    blocked = erlang_b(servers, load)
    return blocked / (1 - load / servers * (1 - blocked))


def mmc_wait(servers: int, rate: float, work: float) -> float:
    """Give the mean wait in M/M/c, without the service: C / (c / work - rate)."""
    return erlang_c(servers, rate * work) / (servers / work - rate)


def mg1_wait(rate: float, work: float, cv2: float) -> float:
    """Give the mean wait in M/G/1 in order of arrival, without the service.

    Pollaczek and Khinchine: W = rho work (1 + cv2) / (2 (1 - rho)) with rho = rate work and cv2 the squared
    coefficient of variation of the work (Gross and Harris, chapter 5).
    """
    utilisation = rate * work
    return utilisation * work * (1 + cv2) / (2 * (1 - utilisation))


def collision(claimers: int, cycle: float, window: float) -> float:
    """Give the probability that a new execution is contended for by two or more polling claimers.

    ``claimers`` (at least 2) look at the head of the eligible set once a ``cycle``, at independent phases
    that are uniform on it. The first who looks after the execution has appeared holds it a ``window``
    later, when its grant takes effect (its read's reply and its grant's request: one link delay there and
    back). Another collides when it looks within that window, that is when the second of the k phases,
    counted from the appearance, follows the first within it. The appearance and the k phases cut the cycle
    into k + 1 spacings, each of which is longer than w with probability (1 - w / cycle)^k (Pyke, "Spacings",
    Journal of the Royal Statistical Society B 27, 1965). Hence 1 - (1 - w / cycle)^k.
    """
    return 1 - (1 - window / cycle) ** claimers


def lapse(ttl: float, renew_every: float, pause: float) -> float:
    """Give the probability that a lease lapses in a pause of its holder, exponential with mean ``pause``.

    The pause begins at an instant uniform between two renewals, u after the last one. The holder renews at
    once when it is back, which is too late when the pause was at least as long as the slack, ttl - u. The
    mean of exp(-(ttl - u) / pause) over u is (pause / renew_every) (exp(renew_every / pause) - 1)
    exp(-ttl / pause).
    """
    return pause / renew_every * (exp(renew_every / pause) - 1) * exp(-ttl / pause)
