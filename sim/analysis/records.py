"""The columns of the records, and how they become DataFrames.

The one place that states names and types of what a run writes down. Strings are dictionaries, instants are
integer microseconds of simulated time, identities are integers that mean something within one run only.
"""

from __future__ import annotations

from typing import Final

import pandas as pd
import pyarrow as pa

_NAME = pa.dictionary(pa.int32(), pa.string())


def _schema(needed: dict[str, pa.DataType], optional: dict[str, pa.DataType], order: str) -> pa.Schema:
    fields = {name: pa.field(name, kind, nullable=False) for name, kind in needed.items()}
    fields |= {name: pa.field(name, kind) for name, kind in optional.items()}
    return pa.schema([fields[name] for name in order.split()])


_RUN = {"arm": _NAME, "replication": pa.int32()}

CONTENTIONS: Final = _schema(
    _RUN | dict.fromkeys(("seq", "sent_us", "arrived_us", "done_us"), pa.int64())
    | dict.fromkeys(("actor", "actor_kind", "op", "code", "kind"), _NAME)
    | {"nth": pa.int32(), "in_window": pa.bool_()},
    dict.fromkeys(("execution", "flow", "waitpoint", "intent", "root"), pa.int64())
    | dict.fromkeys(("delay_us", "rival_age_us"), pa.int64())
    | dict.fromkeys(("action", "rival_actor", "rival_op"), _NAME),
    "arm replication seq sent_us arrived_us done_us actor actor_kind op code kind execution flow waitpoint"
    " intent root nth action delay_us rival_actor rival_op rival_age_us in_window",
)  # fmt: skip

INTENTS: Final = _schema(
    _RUN | dict.fromkeys(("intent", "root", "start_us", "end_us"), pa.int64())
    | dict.fromkeys(("goal", "actor", "actor_kind", "resolution"), _NAME)
    | {"attempts": pa.int32(), "in_window": pa.bool_()},
    {"execution": pa.int64(), "cause": _NAME},
    "arm replication intent root goal actor actor_kind execution start_us end_us resolution cause attempts"
    " in_window",
)  # fmt: skip

_PARTS: Final = "waiting_us granting_us contention_us work_us redone_us suspended_us"

EXECUTIONS: Final = _schema(
    _RUN | {"execution": pa.int64(), "class": _NAME, "created_us": pa.int64()}
    | dict.fromkeys((*_PARTS.split(), "worked_us", "wasted_us"), pa.int64())
    | {"leases": pa.int32(), "duplicated": pa.bool_(), "in_window": pa.bool_()},
    {"leased_us": pa.int64(), "finished_us": pa.int64(), "outcome": _NAME},
    f"arm replication execution class created_us leased_us finished_us outcome leases {_PARTS} worked_us"
    " wasted_us duplicated in_window",
)  # fmt: skip

ATTEMPTS: Final = _schema(
    _RUN
    | dict.fromkeys(("actor_kind", "op", "answer"), _NAME)
    | dict.fromkeys(("count", "total"), pa.int64()),
    {"code": _NAME, "kind": _NAME},
    "arm replication actor_kind op answer code kind count total",
)

SERIES: Final = _schema(
    _RUN | dict.fromkeys(("series", "label"), _NAME)
    | dict.fromkeys(("from_us", "to_us", "begun"), pa.int64())
    | {"in_window": pa.bool_()},
    dict.fromkeys(("ended", "integral_us", "capacity"), pa.int64()),
    "arm replication series label from_us to_us begun ended integral_us capacity in_window",
)  # fmt: skip

ATTEMPT_ROWS: Final = _schema(
    _RUN | dict.fromkeys(("sent_us", "done_us"), pa.int64())
    | dict.fromkeys(("actor", "actor_kind", "op", "answer", "code"), _NAME)
    | {"in_window": pa.bool_()},
    dict.fromkeys(("arrived_us", "execution", "intent"), pa.int64()) | {"kind": _NAME},
    "arm replication sent_us arrived_us done_us actor actor_kind op answer code kind execution intent"
    " in_window",
)  # fmt: skip

TABLES: Final = {
    "contentions": CONTENTIONS, "intents": INTENTS, "executions": EXECUTIONS, "attempts": ATTEMPTS,
    "series": SERIES,
}  # fmt: skip
"""The tables of a run by name: three of single records, attempts as counts, and levels over time."""


def conform(table: pa.Table, schema: pa.Schema, arm: str, replication: int) -> pa.Table:
    """Give a run's table the columns, order and types of its schema.

    ``arm`` and ``replication`` are added where the table lacks them; chunks and dictionaries are made one, so
    that equal records give equal bytes whatever blocks they were made from.

    Raises
    ------
    KeyError
        When a column is missing.
    ValueError
        When a column that cannot be missing has nulls.
    """
    rows = table.num_rows
    run = {
        "arm": pa.array([arm] * rows, pa.string()).dictionary_encode(),
        "replication": pa.array([replication] * rows),
    }
    columns = []
    for field in schema:
        column = (
            table.column(field.name)
            if field.name in table.column_names
            else pa.chunked_array([run[field.name]])
        )
        if column.null_count and not field.nullable:
            raise ValueError(f"column {field.name} of a run of {arm} has nulls")
        columns.append(column.cast(field.type).unify_dictionaries().combine_chunks())
    return pa.Table.from_arrays(columns, schema=schema)


def frame(table: pa.Table) -> pd.DataFrame:
    """Make a DataFrame: names are categories, integers that can be missing are ``Int64``."""
    columns = {}
    for field in table.schema:
        missing = field.nullable and pa.types.is_int64(field.type)
        column = table.column(field.name)
        columns[field.name] = column.to_pandas(types_mapper=_nullable if missing else None)
    return pd.DataFrame(columns)


def _nullable(_: pa.DataType) -> pd.Int64Dtype:
    return pd.Int64Dtype()
