"""The kernel keeps SimPy's order and integer time; processes obey messages, pauses and their own end."""

import pytest
import simpy
from simpy.events import AnyOf

from sim.checks.clock import CheckedKernel
from sim.kernel import Kernel, Process


class Owner:
    def __init__(self):
        self.paused_until_us = 0


def test_calls_and_simpy_events_share_one_order():
    kernel, log = Kernel(), []

    def process(env):
        yield env.timeout(10)
        log.append(("simpy", env.now))
        yield env.timeout(0)
        log.append(("simpy again", env.now))

    kernel.process(process(kernel))
    kernel.call_at(10, lambda name: log.append((name, kernel.now_us)), "first at 10")
    kernel.call_at(5, lambda name: log.append((name, kernel.now_us)), "at 5")
    kernel.run_until(100)
    assert log == [("at 5", 5), ("first at 10", 10), ("simpy", 10), ("simpy again", 10)]
    assert kernel.now_us == 100


def _mixed_model(env, log):
    """Resource, reneging, interrupts, a failing process: what plain SimPy does, the kernel must do."""
    desk = simpy.Resource(env, capacity=2)

    def visit(number):
        yield env.timeout(number * 3 % 7)
        with desk.request() as request:
            result = yield AnyOf(env, [request, env.timeout(5)])
            if request not in result:
                log.append((env.now, number, "reneged"))
                return
            yield env.timeout(4 + number % 3)
            log.append((env.now, number, "served"))

    def customer(number):
        try:
            yield from visit(number)
        except simpy.Interrupt as interrupt:
            log.append((env.now, number, f"interrupted: {interrupt.cause}"))

    def failing():
        yield env.timeout(9)
        raise RuntimeError("fails")

    def guardian(customers):
        try:
            yield env.process(failing())
        except RuntimeError as error:
            log.append((env.now, -1, str(error)))
        for victim in customers:
            if victim.is_alive:
                victim.interrupt("closing")

    customers = [env.process(customer(number)) for number in range(40)]
    env.process(guardian(customers))


@pytest.mark.parametrize("until", [None, 11, 50])
def test_a_plain_simpy_model_runs_as_in_simpy(until):
    logs = []
    for environment in (simpy.Environment(), Kernel()):
        log = []
        _mixed_model(environment, log)
        environment.run(until)
        logs.append((log, environment.now))
    assert logs[0] == logs[1]
    assert len(logs[0][0]) > 5


@pytest.mark.parametrize("make", [Kernel, lambda: CheckedKernel(100)], ids=["bare", "checked"])
def test_calls_near_and_far_come_in_the_order_of_one_heap(make):
    """By time, then in the order of their being scheduled, whether or not they waited in a bucket."""
    kernel, log, expected = make(), [], []

    def call(number):
        log.append((kernel.now_us, number))
        if number < 400:
            at_us = kernel.now_us + number * 7919 % 40_000
            expected.append((at_us, 1000 + number))
            kernel.call_at(at_us, call, 1000 + number)

    for number in range(400):
        at_us = number * 104_729 % 100_000 // 1000 * 1000
        expected.append((at_us, number))
        kernel.call_at(at_us, call, number)
    assert sorted(kernel.arguments()) == list(range(400))
    kernel.run_until(1_000_000)
    by_order = {number: order for order, (_, number) in enumerate(expected)}
    assert log == sorted(expected, key=lambda call: (call[0], by_order[call[1]]))
    assert len(log) == 800


def test_run_until_leaves_out_what_happens_at_the_horizon():
    kernel, log = Kernel(), []
    for at_us in (99, 100, 101):
        kernel.call_at(at_us, log.append, at_us)
    kernel.run_until(100)
    assert log == [99]
    kernel.run_until(102)
    assert log == [99, 100, 101]


def test_an_event_in_the_past_is_an_error():
    kernel = Kernel()
    kernel.run_until(10)
    with pytest.raises(ValueError, match="in the past: 9 us, and it is 10 us"):
        kernel.call_at(9, print)


def test_a_message_ends_a_sleep_and_the_old_timer_does_nothing():
    kernel, log = Kernel(), []

    def story(process):
        process.sleep(100)
        value = yield
        log.append((kernel.now_us, value))
        process.sleep(100)
        value = yield
        log.append((kernel.now_us, value))

    process = Process(kernel, Owner(), story)
    process.start()
    kernel.call_at(40, process.interrupt, "message")
    kernel.run_until(1000)
    assert log == [(40, "message"), (140, None)]
    assert not process.alive


def test_a_paused_owner_moves_when_the_pause_is_over():
    kernel, owner, log = Kernel(), Owner(), []

    def story(process):
        process.sleep(10)
        value = yield
        log.append((kernel.now_us, value))
        process.sleep(10)
        value = yield
        log.append((kernel.now_us, value))

    Process(kernel, owner, story).start()
    owner.paused_until_us = 55
    kernel.run_until(1000)
    assert log == [(55, None), (65, None)]


def test_of_a_timer_and_a_message_in_a_pause_only_the_first_counts():
    kernel, owner, log = Kernel(), Owner(), []

    def story(process):
        process.sleep(10)
        log.append((yield))
        process.sleep(10_000)
        log.append((yield))

    process = Process(kernel, owner, story)
    process.start()
    owner.paused_until_us = 50
    kernel.call_at(20, process.interrupt, "late message")
    kernel.run_until(1000)
    assert log == [None]


def test_a_killed_process_never_moves_again():
    kernel, log = Kernel(), []

    def story(process):
        try:
            process.sleep(10)
            yield
            log.append("moved")
        finally:
            log.append("closed")

    process = Process(kernel, Owner(), story)
    process.start()
    process.kill()
    process.resume("reply")
    kernel.run_until(100)
    assert log == ["closed"]


def test_a_run_that_is_stopped_carries_through_what_happens_and_leaves_the_clock_there():
    """Of three calls at one instant and one later, the first stops the run: no other happens."""
    for kernel in (Kernel(), CheckedKernel(100)):
        seen = []

        def first(_, kernel=kernel, seen=seen):
            kernel.stop()
            seen.append(("first", kernel.now_us))

        kernel.call_at(5, first)
        kernel.call_at(5, seen.append, "second")
        kernel.call_at(7, seen.append, "later")
        kernel.run_until(10)
        assert (seen, kernel.now_us) == ([("first", 5)], 5)
