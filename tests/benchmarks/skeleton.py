"""What the attempt path is measured against: the same shape with nothing in it.

One loop a worker, two waits an attempt, a store that is one ``busy_until``, three block-drawn random numbers
an attempt, no logic in the store and no record of anything. :func:`simpy_skeleton` is about the least that
a SimPy program of this shape can do; :func:`heap_loop` about the least that plain Python can, without
processes: a heap of calls.
"""

from heapq import heappop, heappush
from itertools import chain, count
from time import process_time

import numpy as np
import simpy

MEAN_DELAY_US, MEAN_SERVICE_US = 300, 80


def _draws(generator, mean_us):
    def blocks():
        while True:
            yield np.rint(generator.exponential(mean_us, 4096)).astype(np.int64).tolist()

    return chain.from_iterable(blocks()).__next__


def _all_draws():
    generator = np.random.default_rng(1)
    return [_draws(generator, mean_us) for mean_us in (MEAN_DELAY_US, MEAN_SERVICE_US, MEAN_DELAY_US)]


def simpy_skeleton(workers, operations, *, whole=False):
    """Run the skeleton in SimPy: seconds of processor time an operation, ``whole`` with its set-up."""
    created = process_time()
    request, service, reply = _all_draws()
    environment = simpy.Environment()
    timeout = environment.timeout
    busy_until_us = 0
    done = 0

    def worker():
        nonlocal busy_until_us, done
        while True:
            yield timeout(request())
            now = environment.now
            busy_until_us = max(busy_until_us, now) + service()
            yield timeout(busy_until_us - now + reply())
            done += 1
            if done >= operations:
                environment.exit_event.succeed()
                return

    environment.exit_event = environment.event()
    for _ in range(workers):
        environment.process(worker())
    began = process_time()
    environment.run(environment.exit_event)
    return (process_time() - (created if whole else began)) / done


def heap_loop(workers, operations):
    """Run the same shape as a heap of calls: seconds of processor time an operation."""
    request, service, reply = _all_draws()
    queue = []
    sequence = count().__next__
    busy_until_us = 0
    done = 0

    def send(worker, now_us):
        heappush(queue, (now_us + request(), sequence(), serve, worker))

    def serve(worker, now_us):
        nonlocal busy_until_us
        busy_until_us = max(busy_until_us, now_us) + service()
        heappush(queue, (busy_until_us + reply(), sequence(), answer, worker))

    def answer(worker, now_us):
        nonlocal done
        done += 1
        send(worker, now_us)

    for worker in range(workers):
        send(worker, 0)
    began = process_time()
    while done < operations:
        now_us, _, function, worker = heappop(queue)
        function(worker, now_us)
    return (process_time() - began) / done
