"""The bare SimPy skeleton that the attempt path is measured against.

One generator a worker, two time-outs an attempt, a store that is one ``busy_until``, three block-drawn random
numbers an attempt, no logic in the store and no record of anything: about the least that a SimPy program of
this shape can do.
"""

from itertools import chain
from time import process_time

import numpy as np
import simpy


def _draws(generator, mean_us):
    def blocks():
        while True:
            yield np.rint(generator.exponential(mean_us, 4096)).astype(np.int64).tolist()

    return chain.from_iterable(blocks()).__next__


def operations_per_second(workers, operations):
    """Run the skeleton and give its operations per second of processor time."""
    generator = np.random.default_rng(1)
    request, service, reply = _draws(generator, 300), _draws(generator, 80), _draws(generator, 300)
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
    return done / (process_time() - began)
