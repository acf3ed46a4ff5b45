"""Records made by hand: a run that holds exactly what a test puts in."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sim.analysis.records import TABLES, conform, frame

if TYPE_CHECKING:
    import pandas as pd

S = 1_000_000
MS = 1_000


class MadeRun(NamedTuple):
    arm: str
    replication: int
    contentions: pa.Table
    intents: pa.Table
    executions: pa.Table
    attempts: pa.Table
    series: pa.Table
    fingerprint: str
    window_us: tuple[int, int]
    attempt_rows: pa.Table | None = None

    def frames(self) -> dict[str, pd.DataFrame]:
        tables = {
            name: conform(getattr(self, name), schema, self.arm, self.replication)
            for name, schema in TABLES.items()
        }
        return {name: frame(table) for name, table in tables.items()}


class Builder:
    """Collects rows; what a test does not name has a plain default."""

    def __init__(
        self, arm: str = "documented", replication: int = 0, window_us: tuple[int, int] = (0, 10 * S)
    ) -> None:
        self.arm, self.replication, self.window_us = arm, replication, window_us
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def intent(
        self, start_us: int = 0, end_us: int = 0, resolution: str = "recovered", **columns: Any
    ) -> int:
        number = len(self.rows["intents"])
        row = {
            "intent": number, "root": number, "goal": "acquire", "actor": "worker/0", "actor_kind": "worker",
            "execution": None, "start_us": start_us, "end_us": end_us, "resolution": resolution,
            "cause": None, "attempts": 1, "in_window": self._inside(start_us),
        }  # fmt: skip
        self.rows["intents"].append(row | columns)
        return number

    def contention(self, kind: str, done_us: int, intent: int | None = None, **columns: Any) -> None:
        root = None if intent is None else self.rows["intents"][intent]["root"]
        row = {
            "seq": len(self.rows["contentions"]), "sent_us": done_us - 2, "arrived_us": done_us - 1,
            "done_us": done_us, "actor": "worker/0", "actor_kind": "worker", "op": "claim_execution",
            "code": kind, "kind": kind, "execution": None, "flow": None, "waitpoint": None, "intent": intent,
            "root": root, "nth": 1, "action": None, "delay_us": None, "rival_actor": None, "rival_op": None,
            "rival_age_us": None, "in_window": self._inside(done_us),
        } | columns  # fmt: skip
        self.rows["contentions"].append(row)
        inside = int(row["in_window"])
        self.attempt(
            row["op"], "refused", inside, kind=kind, code=row["code"], actor_kind=row["actor_kind"], total=1
        )

    def attempt(
        self, op: str = "claim_execution", answer: str = "ok", count: int = 1, **columns: Any
    ) -> None:
        row = {"actor_kind": "worker", "op": op, "answer": answer, "code": "OK", "kind": None, "count": count}
        self.rows["attempts"].append(row | {"total": count} | columns)

    def execution(
        self,
        created_us: int = 0,
        finished_us: int | None = None,
        outcome: str | None = "success",
        **columns: Any,
    ) -> None:
        """Add an execution that waited all its life, unless told otherwise."""
        row = {
            "execution": len(self.rows["executions"]), "class": "short", "created_us": created_us,
            "leased_us": None, "finished_us": finished_us,
            "outcome": None if finished_us is None else outcome, "leases": 1,
            "waiting_us": (finished_us or created_us) - created_us, "granting_us": 0, "contention_us": 0,
            "work_us": 0, "redone_us": 0, "suspended_us": 0, "worked_us": 0, "wasted_us": 0,
            "duplicated": False, "in_window": self._inside(created_us),
        }  # fmt: skip
        self.rows["executions"].append(row | columns)

    def level(self, series: str, label: str, integral_us: int, **columns: Any) -> None:
        """Add one bin of a level, as long as the window unless told otherwise."""
        from_us, to_us = self.window_us
        row = {
            "series": series, "label": label, "from_us": from_us, "to_us": to_us, "begun": 0, "ended": 0,
            "integral_us": integral_us, "capacity": None, "in_window": True,
        }  # fmt: skip
        self.rows["series"].append(row | columns)

    def run(self) -> MadeRun:
        tables = {}
        for name, schema in TABLES.items():
            fields = [field for field in schema if field.name not in ("arm", "replication")]
            columns = {field.name: [row[field.name] for row in self.rows[name]] for field in fields}
            types = {f.name: pa.string() if pa.types.is_dictionary(f.type) else f.type for f in fields}
            tables[name] = pa.table({key: pa.array(values, types[key]) for key, values in columns.items()})
        digest = sha256(repr((self.arm, self.replication, self.rows)).encode()).hexdigest()
        return MadeRun(self.arm, self.replication, **tables, fingerprint=digest, window_us=self.window_us)

    def frames(self) -> dict[str, pd.DataFrame]:
        return self.run().frames()

    def _inside(self, at_us: int) -> bool:
        return self.window_us[0] <= at_us < self.window_us[1]


def write_study(out: Any, runs: list[MadeRun], name: str = "handmade", **given: Any) -> Any:
    """Write runs as a study, in the order given, and open it."""
    from sim import output, results

    arms = {
        arm: {"policy": arm} for arm in sorted({run.arm for run in runs}, key=[run.arm for run in runs].index)
    }
    manifest = output.Manifest(
        name=name,
        scenario={"about": "Made by hand.", "seed": 7},
        arms=arms,
        seeds=[7],
        replications=len({run.replication for run in runs}),
        window_us=runs[0].window_us,
    )
    partial = output.begin(out, manifest)
    for run in runs:
        output.write_part(partial, run, run.window_us)
    given = {"host": output.host_facts(1.0, 1)} | given
    return results.open(output.assemble(partial, manifest, **given))
