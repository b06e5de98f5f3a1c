# SPDX-License-Identifier: GPL-2.0
"""The share of one guest in a run. A guest that dies is rebooted until time is up."""
import os
import re
import time

from serieslib.util import Error, say

from . import found
from .guest import Guest, Plan, read
from .options import spell

# distance between the first seeds of two guests
SEEDS = 1000000000
# seconds: interval of progress messages, shortest time that is worth a boot
PROGRESS, SHORT = 30, 10
RUN = 'fuzz'


class Share:
    """A guest, its next seed, and its failures."""

    def __init__(self, nr, seconds, seed, words):
        self.nr, self.seconds, self.words = nr, seconds, words
        self.guest = Guest('fuzz%d' % nr, 'fuzz/%d' % nr)
        self.folder = self.guest.results
        self.seed = seed + (nr - 1) * SEEDS
        # rounds of earlier boots, number of lines read from "failures", list of failures
        self.rounds, self.read, self.found = 0, 0, []
        # end of the run, time of the last progress message
        self.end = self.said = None
        # seconds that the first boot took, consecutive boots without a round
        self.came_up = self.idle = 0

    def command(self, seconds):
        """Return the command line of the fuzzer."""
        return ' '.join(['./iou_fuzz', '--time', str(seconds), '--seed', str(self.seed),
                         '--out', self.guest.in_guest(), '--gcov'] + self.words)

    def left(self):
        """Return the seconds left for the fuzzer if the guest is booted now."""
        if self.end is None:
            return self.seconds
        return int(self.end - time.monotonic() - self.came_up)

    def all_rounds(self):
        """Return the number of rounds, including those of the current boot."""
        return self.rounds + found.stats(self.folder).get('rounds', 0)

    def collect(self):
        """Add new failures to the list. Return the new failures."""
        lines = found.lines(self.folder)[self.read:]
        self.read += len(lines)
        new = [found.parse(x, self.all_rounds()) for x in lines]
        self.found += new
        return new

    def poll(self):
        """Collect failures and report progress while the guest runs."""
        now = time.monotonic()
        if self.end is None:
            self.end = now + self.seconds
        self.collect()
        if self.said is None or now - self.said >= PROGRESS:
            self.said = now
            say('guest %d: %d rounds, %d failures, %d edges, %s left' % (
                self.nr, self.all_rounds(), len(self.found),
                found.stats(self.folder).get('edges', 0), spell(max(0, self.end - now))))

    def add(self, kind, text, boot):
        """Add a failure that the fuzzer could not report."""
        case = kind != 'splat' and read(self.folder, 'last').strip() or '-'
        failure = found.Failure(case, kind, text, self.all_rounds(), boot.console)
        self.found.append(failure)
        with open(os.path.join(self.folder, 'failures'), 'a', encoding='utf-8') as f:
            f.write('%s %s: %s\n' % failure[:3])
        self.read += 1
        say('guest %d: %s: %s (%s)' % (self.nr, kind, text, case))

    def once(self):
        """Boot once. Return true if the fuzzer ran to its end."""
        before, output = len(self.found), os.path.join(self.folder, 'output')
        if os.path.exists(output):
            os.rename(output, output + '.%d' % self.guest.boots)
        left = self.left()
        boot = self.guest.boot([Plan(RUN, '.', left, self.command(left))], self.poll)
        if boot.came_up is None or self.guest.stop_all.is_set():
            self.collect()
            return False
        self.came_up = self.came_up or boot.came_up
        if self.end is None:
            self.end = time.monotonic() + self.seconds
        return self.judge(boot, before)

    def judge(self, boot, before):
        """Add the failures of a boot. Return true if the fuzzer ran to its end."""
        self.collect()
        if boot.splats:
            self.found[before:] = [f._replace(where=boot.console)
                                   for f in self.found[before:]]
        rc = found.status(self.folder)
        found.check_ran(self.folder, rc)
        # including complaints before the run and after it
        boot.splats = {RUN: [x for texts in boot.splats.values() for x in texts]}
        what = found.unnoticed(boot, RUN, rc, self.found[before:])
        if what:
            self.add(*what, boot)
        self.next_seed()
        return rc in (found.GOOD, found.FAILED)

    def next_seed(self):
        """Advance the seed past the cases of this boot."""
        rounds = found.stats(self.folder).get('rounds', 0)
        last = re.match(r'\d+', read(self.folder, 'last'))
        self.idle = 0 if rounds or last else self.idle + 1
        if self.idle == 3:
            raise Error('guest %d keeps dying before its first round, see '
                        'build/log/console-fuzz%d.*' % (self.nr, self.nr))
        self.rounds += rounds
        self.seed = max(self.seed + rounds, int(last[0]) if last and
                        self.seed <= int(last[0]) < self.seed + SEEDS else 0) + 1
        # these rounds are counted: the next boot starts at zero
        for name in ('stats', 'last'):
            if os.path.exists(os.path.join(self.folder, name)):
                os.rename(os.path.join(self.folder, name),
                          os.path.join(self.folder, '%s.%d' % (name, self.guest.boots)))

    def run(self):
        """Boot until time is up or the fuzzer has run to its end."""
        os.makedirs(self.folder, exist_ok=True)
        while self.left() >= SHORT or self.end is None:
            if self.guest.stop_all.is_set() or self.once():
                break
