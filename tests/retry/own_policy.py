"""A policy of one's own, as a user would write it.

In a scenario: ``retry: tests.retry.own_policy:Patient``, or, with parameters,
``retry: {class: tests.retry.own_policy:Patient, params: {patience_ms: 20}}``.
"""

from sim.retry import Action, Decision, Refusal


class Patient:
    """Asks for another execution at once while it is new to the intent, then waits longer and longer.

    Parameters
    ----------
    uniform
        This client's own stream of draws from U[0, 1).
    poll_us
        How long a slot that found nothing waits.
    patience_ms
        By how much every further wait is longer.
    """

    def __init__(self, uniform, poll_us, patience_ms=10):
        self.uniform = uniform
        self.poll_us = poll_us
        self.patience_us = patience_ms * 1000

    def decide(self, refusal: Refusal) -> Decision:
        """Count in the intent's own memory; whatever is not a claim is sent again."""
        if refusal.kind is None:
            return Decision(Action.RETRY, self.poll_us)
        refusal.memory = (refusal.memory or 0) + 1
        delay_us = int((refusal.memory - 1) * self.patience_us * (0.5 + self.uniform()))
        action = Action.OTHER_EXECUTION if refusal.op == "claim_execution" else Action.RETRY
        return Decision(action, delay_us)


class NoPolicy:
    """Has no method decide."""


SOMETHING = 1
