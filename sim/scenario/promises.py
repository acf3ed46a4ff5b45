"""What a run can be held to: the names that ``expect.always`` and ``expect.eventually`` may say.

The checks themselves are in :mod:`sim.checks`; here stands what each claims, and where the rules promise it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Promise(NamedTuple):
    """What a check claims, and the rules under which that holds."""

    claim: str
    holds_where: str


ALWAYS: Final[dict[str, Promise]] = {
    "one_live_lease": Promise(
        "no execution is leased while another lease of it is live, by the store's clock", "always"
    ),
    "epochs_grow": Promise("each lease of an execution has a higher epoch than all before", "always"),
    "fences_hold": Promise(
        "no write is accepted from a worker whose lease was followed by another, was ended, or (where fences "
        "look at the expiry) has lapsed",
        "always; rule fence_mismatch: lease_conflict looks at the epoch alone",
    ),
    "rate_kept": Promise(
        "in no window of a quota are more executions admitted than its rate; one that is admitted twice in "
        "a window counts once",
        "always",
    ),
    "cap_kept": Promise(
        "no execution is admitted while as many as the cap hold a slot",
        "rule concurrency_release: lease_end. A reclaim takes its slot again without an admission, so that "
        "the slots held may exceed the cap then; nothing is admitted until they are fewer",
    ),
    "accounted_for": Promise(
        "every execution created is finished, or waits for a reason that the store can find again: it is in "
        "the index that its state belongs in, and the records agree on how it ended",
        "always; a lease that was revoked is in no index, and known to the operator alone",
    ),
    "refused_unchanged": Promise(
        "a refused operation changes nothing of what it names",
        "always, but for what the engine does: lease_expired marks the lease, and max_retries_exhausted "
        "fails the execution",
    ),
    "no_past_events": Promise(
        "nothing happens before what has happened already: neither in the simulation nor at a partition of "
        "the store",
        "always",
    ),
    "time_goes_on": Promise(
        "the clock moves on: no instant has more than a hundred events for each slot, client or execution of "
        "a burst, and a hundred thousand besides",
        "always; where neither link nor store take any time, a policy that tries again at once may break it",
    ),
}
"""Invariants, watched at every operation of a run."""

EVENTUALLY: Final[dict[str, Promise]] = {
    "drained": Promise(
        "every execution has ended",
        "rules lapsed_lease: reclaimed or requeued, granted_execution other than pending_claim (or workers "
        "that claim: next); and work that the fleet can do within the drain",
    ),
    "lapsed_leases_repaired": Promise(
        "of the leases that lapsed before the drain none is left: each was marked, and taken over where the "
        "rules say so",
        "a reconciler with lease_expiry; rule lapsed_lease: marked promises the mark alone",
    ),
    "lapsed_grants_repaired": Promise(
        "no execution is kept out of the eligible set by a grant that lapsed before the drain",
        "rule granted_execution: stays; or leaves_eligible_set and a reconciler with grants",
    ),
    "no_orphans": Promise(
        "nothing that came due before the drain is still waiting for it: no lapsed lease or grant, no "
        "delay, suspension or deadline out of time, no dependency on what has ended",
        "rules lapsed_lease: reclaimed or requeued, granted_execution other than pending_claim; reconcilers "
        "with every scan that the workload needs",
    ),
    "slots_returned": Promise(
        "every slot of a quota that is held belongs to an execution that has not ended",
        "rule concurrency_release: lease_end; admissions, and releases of those that came to nothing, of "
        "which none is lost: a scheduler releases once",
    ),
    "intents_settled": Promise(
        "every intent that began before the drain has ended, but for those to acquire work", "always"
    ),
}
"""What must hold at the end of a run, after the drain."""
