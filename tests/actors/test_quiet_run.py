"""A run without contention: every record, to the microsecond."""

from tests.actors.little import attempts, executions, intents, simulate


def test_two_executions_go_their_way_undisturbed():
    result = simulate()
    assert attempts(result) == [
        # A request takes 100 us, service 50, a reply 200: 350 in all; the second create waits 50 more.
        ("submitter/0", "create_execution", 0, 0, 100, 350, "OK"),
        ("submitter/0", "create_execution", 1, 0, 100, 400, "OK"),
        # The worker's claim request reaches the scheduler after 100 us, as its grant does the worker.
        ("scheduler/0", "read_eligible", None, 100, 200, 450, "OK"),
        ("scheduler/0", "issue_claim_grant", 0, 450, 550, 800, "OK"),
        ("worker/0", "claim_execution", 0, 900, 1000, 1250, "OK"),
        # Ten milliseconds of work.
        ("worker/0", "complete_execution", 0, 11_250, 11_350, 11_600, "OK"),
        ("scheduler/0", "read_eligible", None, 11_700, 11_800, 12_050, "OK"),
        ("scheduler/0", "issue_claim_grant", 1, 12_050, 12_150, 12_400, "OK"),
        ("worker/0", "claim_execution", 1, 12_500, 12_600, 12_850, "OK"),
        # Its answer would come after the horizon, at 23,200 us.
    ]
    assert intents(result) == [
        ("submit", "submitter/0", 0, 0, 350, "recovered", None, 1),
        ("submit", "submitter/0", 1, 0, 400, "recovered", None, 1),
        ("acquire", "worker/0", 0, 0, 1250, "recovered", None, 1),
        ("dispatch", "scheduler/0", 0, 100, 800, "recovered", None, 2),
        ("finish", "worker/0", 0, 11_250, 11_600, "recovered", None, 1),
        ("acquire", "worker/0", 1, 11_600, 12_850, "recovered", None, 1),
        ("dispatch", "scheduler/0", 1, 11_700, 12_400, "recovered", None, 2),
        ("finish", "worker/0", 1, 22_850, 23_000, "open", None, 1),
    ]
    assert executions(result) == [
        (0, 100, 1000, 11_350, "success", 1),
        (1, 150, 12_600, 22_950, "success", 1),
    ]
    assert result.contentions.num_rows == 0


def test_a_dispatch_serves_the_acquire_that_asked():
    rows = simulate().intents.to_pylist()
    roots = [
        (row["intent"], row["goal"], row["root"]) for row in rows if row["goal"] in ("acquire", "dispatch")
    ]
    assert roots == [(2, "acquire", 2), (3, "dispatch", 2), (5, "acquire", 5), (6, "dispatch", 5)]


def test_a_direct_claimer_grants_to_itself():
    result = simulate("workers.claim=direct", "workload.arrivals.burst.count=1", "horizon.run=12ms")
    assert attempts(result) == [
        ("submitter/0", "create_execution", 0, 0, 100, 350, "OK"),
        ("worker/0", "read_eligible", None, 0, 100, 400, "OK"),
        ("worker/0", "issue_claim_grant", 0, 400, 500, 750, "OK"),
        ("worker/0", "claim_execution", 0, 750, 850, 1100, "OK"),
        ("worker/0", "complete_execution", 0, 11_100, 11_200, 11_450, "OK"),
        ("worker/0", "read_eligible", None, 11_450, 11_550, 11_800, "no_eligible_execution"),
    ]


def test_who_claims_the_next_one_waits_and_asks_again_where_there_is_none():
    """In one operation of four statements, of 10 us each; the work arrives at 2 ms, between two tries."""
    result = simulate(
        "store={dialect: postgres, partitions: 1, statement: 10us}", "schedulers.count=0",
        "workers={count: 1, poll: 1ms, claim: next}", "workload.arrivals={burst: {count: 1, at: 2ms}}",
        "horizon.run=13ms",
    )  # fmt: skip
    assert attempts(result, "actor", "op", "sent_us", "done_us", "code") == [
        ("worker/0", "claim_next", 0, 340, "no_eligible_execution"),
        ("worker/0", "claim_next", 1340, 1680, "no_eligible_execution"),
        ("submitter/0", "create_execution", 2000, 2320, "OK"),
        ("worker/0", "claim_next", 2680, 3020, "OK"),
    ]
    assert intents(result)[0] == ("acquire", "worker/0", 0, 0, 3020, "recovered", None, 3)


def test_a_lease_is_renewed_at_every_tick_while_work_goes_on():
    result = simulate("workers.lease_ttl=6ms", "workers.renew_at=0.5", "workload.arrivals.burst.count=1")
    renewals = [row for row in attempts(result) if row[1] == "renew_lease"]
    # Leased at 1,250 us as far as the worker knows; ticks every 3 ms until it completes at 11,250.
    assert [(row[3], row[5]) for row in renewals] == [(4250, 4600), (7250, 7600), (10_250, 10_600)]
    holds = [row for row in intents(result) if row[0] == "hold"]
    assert {row[5] for row in holds} == {"recovered"}


def test_a_failed_execution_is_retried_by_the_engine_and_promoted_by_a_reconciler():
    retries = (
        "workload.classes.job={work: 1ms, fails: 1.0, retries: {max: 1, backoff: {fixed: {delay: 5ms}}}}"
    )
    result = simulate(
        retries,
        "workload.arrivals.burst.count=1",
        "horizon.run=60ms",
        "reconcilers={count: 1, delayed: 10ms}",
    )
    story = [row for row in attempts(result, "actor", "op", "execution") if row[2] == 0]
    assert story == [
        ("submitter/0", "create_execution", 0),
        ("scheduler/0", "issue_claim_grant", 0),
        ("worker/0", "claim_execution", 0),
        ("worker/0", "fail_execution", 0),
        ("reconciler/0", "promote_delayed", 0),
        ("scheduler/0", "issue_claim_grant", 0),
        ("worker/0", "claim_execution", 0),
        ("worker/0", "fail_execution", 0),
    ]
    assert executions(result)[0][4:] == ("failed", 2)
