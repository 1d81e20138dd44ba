"""Times of several contestants that take turns, so that none is measured beside the other's threads.

The workers of OpenBLAS and OpenMP spin for 26 to 130 ms after a call before they sleep: whoever is measured next has one
processor less. So each turn begins with a pause, until no thread of this process is at work, and calls that do not count.
"""

import argparse
import os
import statistics
import time

PAUSE = 0.05  # seconds
PAUSES = 20  # at most
WARM = 2  # calls
TURN = 0.1  # seconds of counted calls in a turn
LEAST, MOST = 3, 50  # calls in a turn


def positive(text):
    """A number of rounds, threads, steps and the like, as an argument of a command."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")


def rest():
    """Wait until the threads of this process are at rest."""
    for _ in range(PAUSES):
        before = time.process_time()
        time.sleep(PAUSE)
        if time.process_time() - before <= PAUSE / 10:
            return


def turn(call, clock=time.perf_counter):
    """Seconds of one call: the median of a turn."""
    rest()
    for _ in range(WARM):
        began = clock()
        call()
        last = clock() - began
    times = []
    for _ in range(min(MOST, max(LEAST, int(TURN / last)))):
        began = clock()
        call()
        times.append(clock() - began)
    return statistics.median(times)


def rounds(contestants, count, clock=time.perf_counter):
    """Name → seconds in each of so many rounds; the first goes first in one and last in the next. Where other processes
    keep the machine busy, `time.process_time` tells what a contestant with one thread takes: a call that is longer than
    the scheduler's slice is interrupted, a short one is not."""
    times = {name: [] for name in contestants}
    for number in range(count):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            times[name].append(turn(contestants[name], clock))
    return times


def ratio(times, other):
    """The median over rounds of one's time over the other's in the same round."""
    return statistics.median(a / b for a, b in zip(times, other, strict=True))


class Others:
    """How many processors other processes kept busy since it was made; None where the system does not say."""

    def __init__(self):
        self.began = self._now()

    def busy(self):
        if self.began is None:
            return None
        wall, others = (b - a for a, b in zip(self.began, self._now(), strict=True))
        return max(0.0, others / wall)

    @staticmethod
    def _now():
        try:
            with open("/proc/stat") as file:
                user, nice, system, _, _, interrupts, soft, steal = map(int, file.readline().split()[1:9])
        except OSError:
            return None
        busy = (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")
        own = os.times()
        return time.monotonic(), busy - own.user - own.system
