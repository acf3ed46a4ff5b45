"""A policy of one's own that fails once in a while, as a mistake in it would."""

from sim.retry import Action, Decision


class Fragile:
    """Answers plainly, but once in ``of`` refusals it raises an error."""

    def __init__(self, uniform, poll_us, of=400):
        self.uniform = uniform
        self.poll_us = poll_us
        self.of = of

    def decide(self, refusal):
        if self.uniform() < 1 / self.of:
            raise ZeroDivisionError(f"by a fragile policy {object()}")
        if refusal.kind is None:
            return Decision(Action.RETRY, self.poll_us)
        action = Action.OTHER_EXECUTION if refusal.op == "claim_execution" else Action.RETRY
        return Decision(action, self.poll_us)
