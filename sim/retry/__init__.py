"""Retry policies: what to do about a refusal, and when.

Pure: no simulator, no clock, no chance but the draws that are handed in.
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
