"""The store knows neither clock nor chance, and its answers depend on nothing but its arguments."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import sim.store
from sim.store import OPERATIONS, Store

FORBIDDEN = {"simpy", "numpy", "time", "datetime", "random", "secrets", "uuid", "os", "threading", "asyncio"}
FOLDER = Path(sim.store.__file__).parent


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def test_no_module_of_the_store_imports_a_clock_chance_or_the_simulator():
    modules = sorted(FOLDER.glob("*.py"))
    assert len(modules) > 10
    assert {path.name: set(_imports(path)) & FORBIDDEN for path in modules} == {
        path.name: set() for path in modules
    }


def test_importing_the_store_loads_neither_simpy_nor_numpy():
    code = (
        "import sys; from sim.store import Store\n"
        "print(sorted({'simpy', 'numpy', 'random'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_every_operation_takes_the_instant_first_and_is_explained():
    assert len(set(OPERATIONS)) == len(OPERATIONS) > 60
    for name in OPERATIONS:
        operation = getattr(Store, name)
        assert list(inspect.signature(operation).parameters)[:2] == ["store", "now_ms"], name
        assert operation.__name__ == name
        assert operation.__doc__


def test_two_stores_share_nothing():
    first, second = Store(), Store()
    first.create_execution(0, "e1", "A")
    assert second.describe(0, "e1").code == "execution_not_found"
    assert second.read_eligible(0, "A", 1).values["candidates"] == []


def test_ids_may_be_numbers():
    store = Store()
    for number in (0, 1, 10, 2):
        store.create_execution(0, number, "main")
    assert store.eligible_set(0, "main").values["members"] == [0, 1, 2, 10]
    assert store.issue_claim_grant(0, 0, 0, "main", 5).ok
    assert store.claim_execution(0, 0, 0, 0, 5, 0).values["lease_id"] == 0
    assert store.renew_lease(0, 0, 0, 0, 0, 1, 5).ok
    assert store.complete_execution(0, 0, 0, 1, 0).ok
