"""The workload: drawn by number, so that what one thing does leaves all others as they were."""

from collections import Counter

import pytest

from sim.rng import Streams
from sim.scenario import loads
from sim.workload import Script, Workload
from tests.actors.little import executions, simulate

S = 1_000_000
BASE = """
about: a workload
workload: {arrivals: {poisson: {rate: 50/s}}, classes: {job: {work: {exponential: {mean: 5ms}}}}}
"""
TWO_CLASSES = """workload.classes={short: {weight: 3, work: {exponential: {mean: 5ms}}, fails: 0.2},
    long: {weight: 1, work: {exponential: {mean: 50ms}}}}"""
FLOWS = "workload.flows={rate: 5/s, shape: {chain: 3}}"


def workload(*overrides, seed=1, replication=0, partitions=4):
    return Workload(loads(BASE, overrides).workload, Streams(seed, replication), partitions)


def of_arrivals(made, count=200):
    """Class and first script of each arrival."""
    arrived = [made.arrival(number) for number in range(count)]
    return [(made.class_name(each), made.script(each, 0, 0)) for each in arrived]


# --- determinism by number -------------------------------------------------------------------------


def test_the_same_seed_and_replication_give_the_same_workload_and_others_do_not():
    known = of_arrivals(workload(TWO_CLASSES))
    assert of_arrivals(workload(TWO_CLASSES)) == known
    assert of_arrivals(workload(TWO_CLASSES, seed=2)) != known
    assert of_arrivals(workload(TWO_CLASSES, replication=1)) != known


def test_flows_change_nothing_of_the_arrivals_but_their_numbers():
    without, beside = workload(TWO_CLASSES), workload(TWO_CLASSES, FLOWS)
    assert of_arrivals(beside) == of_arrivals(without)
    assert list(beside.arrivals_us(5 * S)) == list(without.arrivals_us(5 * S))
    assert [made.arrival(3) for made in (without, beside)] == [3, 6]


def test_children_change_nothing_of_the_flows_and_the_other_classes():
    parents = """workload.classes={short: {weight: 3, work: {exponential: {mean: 5ms}}, fails: 0.2},
        long: {weight: 1, work: {exponential: {mean: 50ms}},
        children: {probability: 0.5, count: 2, class: short}}}"""
    without, with_children = workload(TWO_CLASSES, FLOWS), workload(parents, FLOWS)
    short = [each for each in of_arrivals(with_children) if each[0] == "short"]
    assert short == [each for each in of_arrivals(without) if each[0] == "short"]
    assert [script.work_us for _, script in of_arrivals(with_children)] == [
        script.work_us for _, script in of_arrivals(without)
    ]
    members = [(flow, node) for flow in range(20) for node in range(3)]
    assert [with_children.script(with_children.member(*each), 0, 0) for each in members] == [
        without.script(without.member(*each), 0, 0) for each in members
    ]


def test_the_order_of_asking_does_not_count():
    forwards, backwards = workload(TWO_CLASSES), workload(TWO_CLASSES)
    places = [(execution, attempt) for execution in (0, 7, 5000) for attempt in range(4)]
    told = {place: forwards.script(*place, 0) for place in places}
    assert {place: backwards.script(*place, 0) for place in reversed(places)} == told
    # Asking again gives the same, and attempts differ from each other.
    assert {place: forwards.script(*place, 0) for place in places} == told
    assert len({script.work_us for script in told.values()}) == len(places)


def test_numbers_of_arrivals_members_and_children_never_meet():
    made = workload(
        """workload.classes={job: {work: 1ms, children: {probability: 1.0, count: 2, class: child}},
        child: {work: 1ms}}""",
        FLOWS,
    )
    arrivals = [made.arrival(number) for number in range(30)]
    members = [made.member(flow, node) for flow in range(10) for node in range(3)]
    children = [child for parent in arrivals for child in made.children(parent)]
    together = arrivals + members + children
    assert len(set(together)) == len(together)
    assert [made.flow_of(each) for each in members] == [flow for flow in range(10) for _ in range(3)]
    assert {made.flow_of(each) for each in arrivals + children} == {None}


def test_a_flow_and_a_family_lie_in_one_partition_and_arrivals_are_spread():
    classes = """workload.classes={job: {work: 1ms},
        parent: {work: 1ms, children: {probability: 1.0, count: 2, class: job}}}"""
    made = workload(classes, FLOWS)
    for flow in range(8):
        assert len({made.partition_of(made.member(flow, node)) for node in range(3)}) == 1
    parents = [each for each in map(made.arrival, range(40)) if made.class_name(each) == "parent"]
    assert parents
    for parent in parents:
        family = [parent, *made.children(parent)]
        assert len({made.partition_of(each) for each in family}) == 1
    spread = Counter(made.partition_of(made.arrival(number)) for number in range(40))
    assert spread == {0: 10, 1: 10, 2: 10, 3: 10}


# --- classes and scripts ---------------------------------------------------------------------------


def test_classes_come_by_their_weights():
    """3 to 1: of 8,000 about 6,000 are short, give or take five deviations."""
    made = workload(TWO_CLASSES)
    counts = Counter(made.class_name(number) for number in range(8000))
    assert abs(counts["short"] - 6000) < 5 * (8000 * 0.75 * 0.25) ** 0.5
    assert counts.total() == 8000


def test_a_class_without_weight_does_not_arrive():
    made = workload("workload.classes={job: {weight: 1, work: 1ms}, rare: {weight: 0, work: 2ms}}")
    assert {made.class_name(number) for number in range(5000)} == {"job"}


def test_ends_come_as_probably_as_the_class_says():
    """Delays and suspensions share one draw; a fifth of what is left fails."""
    made = workload(
        """workload.classes={job: {work: 1ms, fails: 0.2, delays: {probability: 0.1, by: 3ms},
        suspends: {probability: 0.3, signal_after: 2ms, signals: 2}}}"""
    )
    scripts = [made.script(number, 0, 0) for number in range(4000)]
    shares = Counter(script.end for script in scripts)
    expected = {"delay": 0.1, "suspend": 0.3, "fail": 0.6 * 0.2, "complete": 0.6 * 0.8}
    for end, share in expected.items():
        assert abs(shares[end] - 4000 * share) < 5 * (4000 * share * (1 - share)) ** 0.5, end
    suspended = next(script for script in scripts if script.end == "suspend")
    assert suspended == Script(1000, "suspend", 10_000, (2000, 2000))
    assert next(script for script in scripts if script.end == "delay") == Script(1000, "delay", 3000)


def test_what_was_interrupted_once_completes_or_fails():
    made = workload("workload.classes.job={work: 1ms, suspends: {probability: 1.0, signal_after: 2ms}}")
    assert made.script(3, 0, 0).end == "suspend"
    assert made.script(3, 0, 1).end == "complete"
    assert made.script(3, 1, 0).end == "suspend"


# --- when they come --------------------------------------------------------------------------------


def instants(arrivals, until_us=10 * S, **given):
    return list(workload(f"workload.arrivals={{{arrivals}}}", **given).arrivals_us(until_us))


def test_deterministic_arrivals_begin_a_period_after_the_start_and_end_before_the_horizon():
    assert instants("deterministic: {every: 300ms}", S) == [300_000, 600_000, 900_000]
    assert instants("deterministic: {every: 500ms}", S) == [500_000]
    assert instants("deterministic: {rate: 3/s}", S) == [333_333, 666_667]
    assert instants("deterministic: {rate: 0/s}", S) == []


def test_bursts_come_once_or_again_and_again():
    assert instants("burst: {count: 2, at: 1s}") == [S, S]
    assert instants("burst: {count: 2, at: 1s, every: 4s}") == [S, S, 5 * S, 5 * S, 9 * S, 9 * S]
    assert instants("burst: {count: 0, every: 1s}") == []


def test_poisson_arrivals_have_their_rate():
    """50 per second for 100 s: about 5,000, give or take five deviations."""
    found = instants("poisson: {rate: 50/s}", 100 * S)
    assert abs(len(found) - 5000) < 5 * 5000**0.5
    assert found == sorted(found)
    assert instants("poisson: {rate: 0/s}") == []


def test_on_off_arrivals_come_in_the_on_phases_alone_and_as_if_nothing_had_been_between():
    found = instants("on_off: {rate: 50/s, on: 1s, off: 3s}", 100 * S)
    assert all(at_us % (4 * S) < S for at_us in found)
    assert {at_us // (4 * S) for at_us in found} == set(range(25))
    assert abs(len(found) - 1250) < 5 * 1250**0.5
    # Cut the silence out and the Poisson process of the same stream is left.
    assert [at_us // (4 * S) * S + at_us % (4 * S) for at_us in found] == instants(
        "poisson: {rate: 50/s}", 25 * S
    )


def test_phases_stretch_one_process_to_the_rate_of_each():
    """A spike of 40/s from 10 s to 15 s: before and in it the arrivals of a process that runs at its rate."""
    spiky = "phases: [{rate: 5/s, for: 10s}, {rate: 40/s, for: 5s}, {rate: 0/s, for: 1s}, {rate: 5/s}]"
    found = instants(spiky, 50 * S)
    steady = instants("poisson: {rate: 5/s}", 1000 * S)
    before = [at_us for at_us in found if at_us < 10 * S]
    assert before == pytest.approx(steady[: len(before)], abs=1)
    spike = [at_us - 10 * S for at_us in found if 10 * S <= at_us < 15 * S]
    # The process begins where it was: each of its gaps lasts an eighth as long.
    same = [(at_us - 10 * S) / 8 for at_us in steady[len(before) :]]
    assert spike == pytest.approx(same[: len(spike)], abs=1)
    assert abs(len(spike) - 200) < 5 * 200**0.5
    assert [at_us for at_us in found if 15 * S <= at_us < 16 * S] == []
    assert abs(len([at_us for at_us in found if at_us >= 16 * S]) - 170) < 5 * 170**0.5
    assert found == sorted(found)


def test_after_the_last_phase_nothing_arrives():
    found = instants("phases: [{rate: 0/s, for: 1s}, {rate: 100/s, for: 1s}]", 100 * S)
    assert found
    assert all(S <= at_us < 2 * S for at_us in found)


def test_a_schedule_gives_instants_and_classes(tmp_path):
    (tmp_path / "plan.csv").write_text("at,class\n2s,long\n0.5,short\n2s,short\n30s,long\n")
    scenario = loads(
        BASE, [TWO_CLASSES, f"workload.arrivals={{schedule: {{file: {tmp_path / 'plan.csv'}}}}}"]
    )
    made = Workload(scenario.workload, Streams(1, 0), 1)
    assert list(made.arrivals_us(10 * S)) == [500_000, 2 * S, 2 * S]
    assert [made.class_name(number) for number in range(4)] == ["short", "long", "short", "long"]


def test_a_schedule_without_classes_has_them_drawn_by_weight_as_any_arrival():
    scheduled = workload(TWO_CLASSES, "workload.arrivals={schedule: {at: [1s, 2s, 3s]}}")
    assert of_arrivals(scheduled, 3) == of_arrivals(workload(TWO_CLASSES), 3)


def test_closed_arrivals_have_no_instants_of_their_own():
    with pytest.raises(ValueError, match="closed arrivals have no instants of their own"):
        instants("closed: {clients: 3}")


def test_the_work_of_closed_arrivals_comes_from_their_number_whatever_the_policy():
    """Client c of N submits executions c, c + N, ...: the same ones do the same work with other polls."""
    closed = [
        "workload.arrivals={closed: {clients: 2, think: 1ms}}",
        "horizon.run=40ms",
        "horizon.drain=20ms",
    ]
    closed += [
        "workload.classes.job.work={exponential: {mean: 2ms}}",
        "workers.count=2",
        "store.partitions=2",
    ]

    def worked(result):
        return {row[0]: row[3] - row[2] for row in executions(result) if row[3] is not None}

    quick, lazy = (worked(simulate(*closed, f"workers.poll={poll}")) for poll in ("1ms", "7ms"))
    assert len(quick) > len(lazy) > 4
    # Only a wait in the store's queue, of 50 us an operation, can come on top of the work.
    assert all(abs(quick[each] - lazy[each]) <= 200 for each in lazy.keys() & quick.keys())
