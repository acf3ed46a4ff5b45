"""Retry policies: what to do about a refusal, and when.

Pure: no simulator, no clock, no chance but the draws that are handed in.

A policy of one's own is a class with one method. Put it into a module that Python can import, say
``mine.py`` in the folder from which the command is run with ``PYTHONPATH=.``::

    from sim.retry import Action, Decision

    class Halfway:
        # Retries everything after a drawn wait whose range grows by half of itself.
        def __init__(self, uniform, poll_us, base_ms=20, attempts=8):
            self.uniform = uniform  # draws from U[0, 1): the client's own, so that runs repeat exactly
            self.poll_us = poll_us  # what a worker that found nothing waits
            self.base_us = base_ms * 1000
            self.attempts = attempts

        def decide(self, refusal):
            if refusal.goal == "acquire":
                return Decision(Action.RETRY, self.poll_us)
            if refusal.nth >= self.attempts:
                return Decision(Action.GIVE_UP, 0)
            return Decision(Action.RETRY, int(self.uniform() * self.base_us * 1.5 ** (refusal.nth - 1)))

and name it wherever a policy is named: ``--policy mine:Halfway`` on the command line, or in a scenario
``retry: {class: mine:Halfway, params: {base_ms: 50}}``. State in ``self`` is the client's and ends with its
process; what belongs to one intent goes into ``refusal.memory``. The further methods that a policy may have
are those of :class:`Watcher`; :class:`Refusal` says what a policy is shown. :func:`register` gives a class a
name of its own.
"""

from sim.retry.errors import PolicyError
from sim.retry.parts import Facts, Fleet
from sim.retry.policy import REJECT, Action, Decision, Observed, Policy, Refusal, Watcher
from sim.retry.registry import parse_policy, policies, register
from sim.retry.routing import DOCUMENTED, OPERATIONS, Routing, documented_action, legal_actions
from sim.retry.spec import ComposedSpec, OwnSpec, PolicySpec

__all__ = [
    "DOCUMENTED",
    "OPERATIONS",
    "REJECT",
    "Action",
    "ComposedSpec",
    "Decision",
    "Facts",
    "Fleet",
    "Observed",
    "OwnSpec",
    "Policy",
    "PolicyError",
    "PolicySpec",
    "Refusal",
    "Routing",
    "Watcher",
    "documented_action",
    "legal_actions",
    "parse_policy",
    "policies",
    "register",
]
