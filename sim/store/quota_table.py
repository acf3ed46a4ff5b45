"""The quotas of a partition, and the slots that leases of other partitions hold in them."""

# Every operation takes the instant and the arguments of the engine, whether it looks at them or not.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.store.records import Quota

if TYPE_CHECKING:
    from sim.store.records import Id


class QuotaTable(dict["Id", Quota]):
    """Quotas by id.

    ``release_slot`` and ``take_slot`` carry out what the end of a lease, or its reclaim, means for a quota.
    They are no operations: nobody calls them over the link but the partition where the lease ends.
    """

    __slots__ = ()

    def release_slot(self, now_ms: int, quota: Id, execution: Id) -> None:
        """Give back the slot of an execution, guard and all; its entry in the rate window stays."""
        self[quota].guards.pop(execution, None)

    def take_slot(self, now_ms: int, quota: Id, execution: Id) -> None:
        """Take a slot without an admission, whatever the limits say."""
        self[quota].guards[execution] = None
