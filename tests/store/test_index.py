"""The sorted index against a plain sorted list."""

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.store import index as module
from sim.store.index import Index


def _index(scores):
    index = Index()
    for member, score in scores.items():
        index.add(member, score)
    return index


def test_members_come_by_score_then_by_id():
    index = _index({"e2": 5, "e10": 5, "e1": 7, "e3": -1})
    assert index.first(9) == ["e3", "e10", "e2", "e1"]
    assert index.first(2) == ["e3", "e10"]
    assert index.first(9, until=5) == ["e3", "e10", "e2"]
    assert index.first(9, until=4) == ["e3"]
    assert index.items() == [("e3", -1), ("e10", 5), ("e2", 5), ("e1", 7)]


def test_members_that_are_not_accepted_stay():
    index = _index({"e1": 1, "e2": 2, "e3": 3})
    assert index.first(1, accept=lambda member: member != "e1") == ["e2"]
    assert index.first(3) == ["e1", "e2", "e3"]


def test_a_member_that_left_and_came_back_is_listed_once():
    index = _index({"e1": 1, "e2": 2})
    for _ in range(3):
        index.discard("e1")
        index.add("e1", 1)
    assert index.first(9) == ["e1", "e2"]
    index.discard("e1")
    assert index.first(9) == ["e2"]


def test_a_higher_score_counts_from_where_it_is_read():
    index = _index({"e1": 1, "e2": 2, "e3": 3})
    index.add("e1", 3)
    assert index.first(9, until=2) == ["e2"]
    assert index.first(9, until=3) == ["e2", "e1", "e3"]
    index.add("e1", 0)
    assert index.first(9) == ["e1", "e2", "e3"]


def test_what_a_heap_no_longer_needs_is_swept_out(monkeypatch):
    monkeypatch.setattr(module, "_SLACK", 4)
    index = Index()
    for turn in range(1000):
        index.add("e1", turn)
        index.discard("e1")
    assert len(index._behind) + len(index._front) < 10
    assert index.first(1) == []


def test_sweeping_takes_the_front_along(monkeypatch):
    monkeypatch.setattr(module, "_SLACK", 4)
    index = _index({number: number for number in range(3)})
    assert index.first(2) == [0, 1]
    for number in range(3, 40):
        index.add(number, number)
    assert index.first(99) == list(range(40))


def test_sweeping_is_rare_while_members_stay(monkeypatch):
    monkeypatch.setattr(module, "_SLACK", 4)
    sweeps = []
    sweep = Index._rebuild
    monkeypatch.setattr(Index, "_rebuild", lambda index: (sweeps.append(1), sweep(index)))
    _index({number: number for number in range(1000)})
    assert 1 <= len(sweeps) < 12


def test_a_long_front_goes_back_to_the_heap(monkeypatch):
    monkeypatch.setattr(module, "_FRONT_MAX", 4)
    index = _index({number: number for number in range(100, 120)})
    index.first(10)
    for number in range(10):
        index.add(number, number)
    assert len(index._front) <= 10
    assert index.first(99) == [*range(10), *range(100, 120)]


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 8), st.integers(0, 9)),
        st.tuples(st.just("discard"), st.integers(0, 8)),
        st.tuples(st.just("first"), st.integers(1, 6), st.none() | st.integers(0, 9)),
        st.tuples(st.just("odd"), st.integers(1, 6), st.none() | st.integers(0, 9)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("bounds", [(2, 2), (1024, 1024)])
@given(_STEPS)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_it_answers_as_a_sorted_list_does(bounds, steps):
    with patch.object(module, "_FRONT_MAX", bounds[0]), patch.object(module, "_SLACK", bounds[1]):
        _follow_a_sorted_list(steps)


def _follow_a_sorted_list(steps):
    index = Index()
    model: dict[int, int] = {}
    for name, *arguments in steps:
        if name == "add":
            member, score = arguments
            index.add(member, score)
            model[member] = score
        elif name == "discard":
            index.discard(arguments[0])
            model.pop(arguments[0], None)
        else:
            limit, until = arguments
            accept = (lambda member: member % 2 == 1) if name == "odd" else None
            expected = [
                member
                for score, member in sorted((score, member) for member, score in model.items())
                if (until is None or score <= until) and (accept is None or accept(member))
            ]
            assert index.first(limit, until, accept) == expected[:limit]
        assert index.scores == model
