"""Flows: members wait for each other, builders compete for the graph, ends travel along the edges."""

from itertools import pairwise

from tests.actors.little import attempts, contentions, executions, intents, simulate, story

# With this seed one flow arrives in the first 10 ms, at 1,617 us. Members have the odd numbers.
ARRIVES_US = 1617
NO_ARRIVALS = "workload.arrivals.burst.count=0"
UNTIL_BUILT = "faults=[{pause: {workers: 1.0, at: 0ms, for: 8ms}}]"


def flow(shape, *more, work="{work: 2ms}", **keys):
    spec = {"rate": "100/s", "shape": f"{{{shape}}}", "dispatch_delay": "1ms"} | keys
    text = ", ".join(f"{key}: {value}" for key, value in spec.items())
    changes = [NO_ARRIVALS, f"workload.flows={{{text}}}", f"workload.classes.job={work}"]
    return simulate(*changes, "seed=2", "horizon.run=10ms", "horizon.drain=20ms", UNTIL_BUILT, *more)


def resolutions(result):
    rows = attempts(result, "actor", "op", "execution", "sent_us", "code")
    return [(row[0], *row[2:]) for row in rows if row[1] == "resolve_dependency"]


def test_a_flow_is_created_step_by_step_then_its_edges_are_staged_and_applied():
    result = flow("chain: 3", "workers.count=0")
    ops = [(actor.partition("/")[0], op, execution) for actor, op, execution, _, _ in story(result)]
    assert ops == [
        ("flow_submitter", "create_flow", None),
        *[("flow_submitter", op, member) for member in (1, 3, 5) for op in (
            "create_execution", "add_execution_to_flow")],
        *[("flow_builder", op, member) for member in (3, 5) for op in (
            "stage_dependency_edge", "apply_dependency_to_child")],
    ]  # fmt: skip
    # Each of the seven steps takes 350 us; an edge takes three of them, the read of the revision included.
    links = [row for row in intents(result) if row[0] == "link"]
    built_us = ARRIVES_US + 7 * 350
    assert links == [
        ("link", "flow_builder/0", 3, built_us, built_us + 1050, "recovered", None, 3),
        ("link", "flow_builder/0", 5, built_us + 1050, built_us + 2100, "recovered", None, 3),
    ]


def test_the_members_of_a_chain_run_one_after_the_other():
    result = flow("chain: 3")
    assert executions(result) == [
        (1, 2067, 10_000, 12_350, "success", 1),
        (3, 2767, 15_150, 17_500, "success", 1),
        (5, 3467, 20_300, 22_650, "success", 1),
    ]
    # Completed at 12,350 us; 1 ms later the dispatcher reads who waits (350 us) and resolves the edge.
    assert resolutions(result) == [("dispatcher/0", 3, 13_700, "OK"), ("dispatcher/0", 5, 18_850, "OK")]


def test_the_child_of_a_fan_in_waits_for_all_its_parents():
    result = flow("fan_in: 2")
    ended = {row[0]: row[3] for row in executions(result)}
    leased = {row[0]: row[2] for row in executions(result)}
    assert (ended[1], ended[3], leased[5]) == (12_350, 15_950, 18_750)
    assert resolutions(result) == [("dispatcher/0", 5, 13_700, "OK"), ("dispatcher/0", 5, 17_300, "OK")]


def test_the_children_of_a_fan_out_are_free_when_their_parent_has_ended():
    result = flow("fan_out: 3", "workers.count=4")
    rows = executions(result)
    assert [row[4] for row in rows] == ["success"] * 4
    parent_ended = rows[0][3]
    assert all(row[2] > parent_ended for row in rows[1:])
    # Resolved one after the other, each takes 350 us.
    sent = [row[2] for row in resolutions(result)]
    assert sent == [parent_ended + 1000 + 350 * step for step in (1, 2, 3)]


def test_a_member_that_fails_skips_its_child_and_all_that_follows():
    result = flow("chain: 3", work="{work: 2ms, fails: 1.0}")
    assert executions(result) == [
        (1, 2067, 10_000, 12_350, "failed", 1),
        (3, 2767, None, 13_800, "skipped", 0),
        # The skipped one is an end like any other: it travels on after the same delay.
        (5, 3467, None, 13_800 + 1000 + 350 + 100, "skipped", 0),
    ]
    assert [row[5] for row in intents(result) if row[0] == "resolve"] == ["recovered", "recovered"]


def test_a_lost_dispatch_is_found_by_the_dependency_scan():
    scan = "reconcilers={count: 1, dependencies: 8ms}"
    result = flow("chain: 2", scan, lose_dispatch=1.0)
    assert [row[:2] for row in resolutions(result)] == [("reconciler/0", 3)]
    reads = [row[1] for row in attempts(result, "op", "sent_us", "actor") if row[0] == "read_unresolved"]
    assert [later - earlier for earlier, later in pairwise(reads)] == [8000] * 3
    # Ended at 12,350 us: the first scan after that finds the edge.
    found_us = next(at_us for at_us in reads if at_us > 12_350)
    assert resolutions(result) == [("reconciler/0", 3, found_us + 350, "OK")]
    assert [row[4] for row in executions(result)] == ["success", "success"]


def test_of_two_builders_on_one_revision_the_slower_reads_again():
    result = flow(
        "fan_out: 2", "workers.count=0", "retry={backoff: {constant: {delay: 1ms}}}", builders=2, think="1ms"
    )
    rows = attempts(result, "actor", "op", "execution", "sent_us", "code")
    assert [row for row in rows if row[0].startswith("flow_builder")] == [
        ("flow_builder/0", "read_flow", 3, 4067, "OK"),
        ("flow_builder/1", "read_flow", 5, 4067, "OK"),
        ("flow_builder/0", "stage_dependency_edge", 3, 5417, "OK"),
        ("flow_builder/1", "stage_dependency_edge", 5, 5467, "stale_graph_revision"),
        ("flow_builder/0", "apply_dependency_to_child", 3, 5767, "OK"),
        # Answered at 5,817 us; 1 ms of backoff, then a read (350 us) and 1 ms of thought.
        ("flow_builder/1", "read_flow", 5, 6817, "OK"),
        ("flow_builder/1", "stage_dependency_edge", 5, 8167, "OK"),
        ("flow_builder/1", "apply_dependency_to_child", 5, 8517, "OK"),
    ]
    assert contentions(result)[0][3:] == ("stale_graph_revision", "stale_graph_revision", 1, "reread", 1000)
    rival = result.contentions.to_pylist()[0]
    assert (rival["rival_actor"], rival["rival_op"], rival["rival_age_us"]) == (
        "flow_builder/0", "stage_dependency_edge", 50,
    )  # fmt: skip


def test_an_edge_whose_staging_was_not_answered_is_found_there():
    lost = "faults=[{loss: {from: 3700us, to: 4000us, replies: 1.0}}]"
    result = flow(
        "chain: 2", "workers.count=0", lost, "link.timeout=2ms", "retry={backoff: {constant: {delay: 1ms}}}"
    )
    codes = [(row[1], row[4]) for row in story(result) if row[0] == "flow_builder/0"]
    assert codes[0] == ("stage_dependency_edge", "unknown")
    assert codes[-1] == ("apply_dependency_to_child", "OK")
    assert [row[5] for row in intents(result) if row[0] == "link"] == ["recovered"]


# --- parents and children --------------------------------------------------------------------------

FAMILY = (
    "workload={arrivals: {schedule: {at: [0ms], classes: [parent]}}, classes: {parent: {work: 2ms, "
    "children: {probability: 1.0, count: 2, class: child}}, child: {work: 1ms}}}"
)


def test_a_parent_parks_until_its_children_are_done_and_then_goes_on():
    result = simulate(FAMILY, "workers={count: 2, poll: 2ms}", "horizon.run=30ms")
    rows = executions(result)
    assert [row[0] for row in rows] == [0, 2, 5]
    (parent, *children) = rows
    assert parent[4:] == ("success", 2)
    assert [row[4:] for row in children] == [("success", 1), ("success", 1)]
    assert parent[3] > max(row[3] for row in children)
    (park,) = [row for row in intents(result) if row[0] == "park"]
    # Flow, membership, two children and their membership, two edges of three steps, the park, a last look.
    assert park[5:] == ("recovered", None, 1 + 1 + 2 * 2 + 2 * 3 + 1 + 1)
    resumed = [row for row in story(result, 0) if row[1] == "claim_resumed_execution"]
    assert [row[4] for row in resumed] == ["OK"]


def test_a_parent_whose_children_were_faster_than_its_park_is_promoted_by_its_own_look():
    """Both edges are resolved before the parent parks: no end comes any more that would wake it."""
    hasty = FAMILY.replace("work: 1ms", "work: 0ms")
    result = simulate(hasty, "workers={count: 3, poll: 1ms}", "horizon.run=20ms")
    ends = (
        "resolve_dependency",
        "move_to_waiting_children",
        "promote_blocked_to_eligible",
        "complete_execution",
    )
    sent = attempts(result, "actor", "op", "sent_us", "execution")
    assert [row[:3] for row in sent if row[1] in ends and row[3] == 0] == [
        ("dispatcher/0", "resolve_dependency", 6850),
        ("dispatcher/0", "resolve_dependency", 7300),
        ("worker/0", "move_to_waiting_children", 7450),
        ("worker/0", "promote_blocked_to_eligible", 8150),
        ("worker/1", "complete_execution", 11_500),
    ]
    assert executions(result)[0] == (0, 100, 1000, 11_600, "success", 2)


def test_flows_begin_when_they_are_told_to_in_the_order_of_time():
    result = simulate(
        NO_ARRIVALS, "workload.flows={at: [5ms, 1ms, 1ms], shape: {fan_out: 1}}", "workers.count=0"
    )
    created = [row[1] for row in attempts(result, "op", "sent_us") if row[0] == "create_flow"]
    assert created == [1_000, 1_000, 5_000]


def test_builders_share_the_edges_and_begin_in_one_instant():
    """Three edges, a builder each, and two builders more that have nothing to do."""
    result = simulate(
        NO_ARRIVALS, "workload.flows={at: [0s], shape: {fan_out: 3}, builders: 5}", "workers.count=0"
    )
    links = [row for row in intents(result) if row[0] == "link"]
    # Created are a flow and four members, each in two steps of 350 us.
    assert [(actor, start_us) for _, actor, _, start_us, *_ in links] == [
        (f"flow_builder/{number}", 9 * 350) for number in range(3)
    ]


def test_an_edge_that_is_staged_alone_makes_nobody_wait():
    """The child is leased while its parent works, and the end of the parent finds nothing to resolve."""
    built = "workload.flows={at: [0s], shape: {chain: 2}, apply: false, dispatch_delay: 1ms}"
    result = simulate(NO_ARRIVALS, built, "workers.count=2", "workload.classes.job={work: 5ms}")
    ops = [op for (op,) in attempts(result, "op")]
    assert (ops.count("stage_dependency_edge"), ops.count("apply_dependency_to_child")) == (1, 0)
    (_, _, _, parent_ends_us, *_), (_, _, child_leased_us, _, outcome, _) = executions(result)
    assert child_leased_us < parent_ends_us
    assert outcome == "success"
    assert {row[3] for row in resolutions(result)} == {"invalid_dependency"}
