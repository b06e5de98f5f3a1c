#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/fuzz-mutants.py [TIME=60m] [SEED=NUMBER] [MUTANTS="NAME ..."]

Checks that the fuzzer detects faults in the kernel. The faults of scripts/mutants/
that are named in scripts/fuzz-mutants.txt, or in MUTANTS, are switched on one at a
time. The fuzzer gets an equal part of TIME for each fault, and the same SEED (default:
1). A first run, without faults, must find nothing. Prints a line for each run, "ok" if
its result is as expected, and the number of faults found. Exit status 1 if a result is
"not ok".
"""
import collections
import concurrent.futures
import os
import shutil
import signal
import sys

import mutants
from fuzzlib import found, guest, options
from serieslib.faults import read_lists
from serieslib.util import Error, run, say

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
LIST = os.path.join(SCRIPTS, 'fuzz-mutants.txt')
UNBROKEN = 'unbroken'
# why: the first failure, or an empty string
Result = collections.namedtuple('Result', 'why rounds seconds')


def listed():
    """Return the names in the list."""
    with open(LIST, encoding='utf-8') as f:
        return [x.strip() for x in f if x.strip() and not x.startswith('#')]


def choose(faults, names):
    """Return the faults with these names, in the order of the names."""
    by_name = {m.name: m for m in faults}
    missing = [n for n in names if n not in by_name]
    if missing:
        raise Error('no such fault: ' + ' '.join(missing))
    return [by_name[n] for n in names]


class Share:
    """The share of one guest: some of the runs."""

    def __init__(self, nr, names, numbers, seconds, seed):
        self.nr, self.names, self.numbers = nr, names, numbers
        self.seconds, self.seed = seconds, seed
        self.guest = guest.Guest('fuzz-mutants%d' % nr, 'fuzz-mutants/%d' % nr, 'mutants')
        self.results, self.said = {}, None

    def plan(self, name):
        """Return the run with this fault."""
        command = 'env IOU_FUZZ_STOP=1 ./iou_fuzz --time %d --seed %d --out %s' % (
            self.seconds, self.seed, self.guest.in_guest(name))
        return guest.Plan(name, name, self.seconds, command, self.numbers.get(name, 0))

    def poll(self):
        """Report progress while the guest runs."""
        name = guest.read(self.guest.path('current')).strip()
        if name != self.said:
            self.said = name
            say('guest %d: %s' % (self.nr, name))

    def judge(self, boot, name):
        """Return the result of a run."""
        folder = self.guest.path(name)
        rc = found.status(folder)
        found.check_ran(folder, rc)
        noticed = [found.parse(x) for x in found.lines(folder)]
        what = ['%s: %s' % (f.kind, f.text) for f in noticed[:1]]
        if not noticed:
            what = ['%s: %s' % w for w in [found.unnoticed(boot, name, rc, [])] if w]
        if not what and rc == found.FAILED:
            what = ['unknown: the fuzzer reports no failure']
        counts = found.stats(folder)
        return Result(what[0] if what else '', counts.get('rounds', 0),
                      counts.get('seconds', 0))

    def run(self):
        """Boot until all runs are done: a failure of the kernel ends the guest."""
        while left := [n for n in self.names if n not in self.results]:
            if self.guest.stop_all.is_set():
                return
            say('guest %d: booting, %d runs to go, log in build/log/console-fuzz-mutants%d'
                % (self.nr, len(left), self.nr))
            boot = self.guest.boot([self.plan(n) for n in left], self.poll)
            if self.guest.stop_all.is_set():
                return
            for name in left:
                if name == boot.last or found.status(self.guest.path(name)) is not None:
                    self.results[name] = self.judge(boot, name)


def run_all(names, numbers, seconds, seed):
    """Run the fuzzer with each of these faults. Return {name: result}."""
    shutil.rmtree(os.path.join(guest.BUILD, 'fuzz-mutants'), ignore_errors=True)
    nr = guest.number_of(len(names))
    shares = [Share(i + 1, names[i::nr], numbers, seconds, seed) for i in range(nr)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            for end in concurrent.futures.as_completed([pool.submit(s.run) for s in shares]):
                end.result()
        except BaseException:
            guest.Guest.stop_all.set()
            raise
    return {name: r for s in shares for name, r in s.results.items()}


def report(names, results):
    """Print a line for each run. Return the number of unexpected results."""
    bad = 0
    for nr, name in enumerate([UNBROKEN] + names):
        r = results[name]
        ok = bool(r.why) != (name == UNBROKEN)
        bad += not ok
        text = ('found: %s after %d rounds, %d s' % r if r.why else
                'not found in %d rounds, %d s' % r[1:])
        print('%s %d - %s # %s' % ('ok' if ok else 'not ok', nr, name, text))
    print('fuzz-mutants: %d of %d found' % (
        sum(bool(results[n].why) for n in names), len(names)), flush=True)
    return bad


def main():
    """See the top of the file."""
    if any('=' not in a for a in sys.argv[1:]):
        print(__doc__, end='')
        return 2
    opts = options.parse(sys.argv[1:], ('TIME', 'SEED', 'MUTANTS'))
    names = opts['MUTANTS'].split() or listed()
    seconds = max(1, options.seconds(opts['TIME'] or '60m') // len(listed()))
    seed = options.number(opts['SEED'] or '1')
    faults = read_lists(os.path.join(SCRIPTS, 'mutants'))
    numbers = {m.name: m.number() for m in choose(faults, names)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    mutants.build(faults)
    results = run_all([UNBROKEN] + names, numbers, seconds, seed)
    return 1 if report(names, results) else 0


if __name__ == '__main__':
    run(main)
