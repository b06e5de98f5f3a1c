# SPDX-License-Identifier: GPL-2.0
"""One guest's share of a run: it goes on for that time, whatever dies meanwhile."""
import os
import re
import time

from serieslib.util import Error, say

from . import found
from .guest import Guest, Plan, read
from .options import spell

# between the seeds of one guest and those of the next one
SEEDS = 1000000000
# seconds: between two lines of progress, and what is not worth another boot
PROGRESS, SHORT = 30, 10
RUN = 'fuzz'


class Share:
    """A guest, the seeds it is at, and what it has found."""

    def __init__(self, nr, seconds, seed, words):
        self.nr, self.seconds, self.words = nr, seconds, words
        self.guest = Guest('fuzz%d' % nr, 'fuzz/%d' % nr)
        self.folder = self.guest.results
        self.seed = seed + (nr - 1) * SEEDS
        # rounds of the boots that are over, and lines of failures that were read
        self.rounds, self.read, self.found = 0, 0, []
        # when time is over, and the last line of progress
        self.end = self.said = None
        self.came_up = self.idle = 0

    def command(self, seconds):
        """What the guest runs."""
        return ' '.join(['./iou_fuzz', '--time', str(seconds), '--seed', str(self.seed),
                         '--out', self.guest.in_guest(), '--gcov'] + self.words)

    def left(self):
        """Seconds for the fuzzer, if a guest is booted now."""
        if self.end is None:
            return self.seconds
        return int(self.end - time.monotonic() - self.came_up)

    def all_rounds(self):
        """Those of this boot as well."""
        return self.rounds + found.stats(self.folder).get('rounds', 0)

    def collect(self):
        """Takes note of failures that are new. Returns them."""
        lines = found.lines(self.folder)[self.read:]
        self.read += len(lines)
        new = [found.parse(x, self.all_rounds()) for x in lines]
        self.found += new
        return new

    def poll(self):
        """While the guest runs."""
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
        """A failure that the fuzzer could not write down."""
        case = kind != 'splat' and read(self.folder, 'last').strip() or '-'
        failure = found.Failure(case, kind, text, self.all_rounds(), boot.console)
        self.found.append(failure)
        with open(os.path.join(self.folder, 'failures'), 'a', encoding='utf-8') as f:
            f.write('%s %s: %s\n' % failure[:3])
        self.read += 1
        say('guest %d: %s: %s (%s)' % (self.nr, kind, text, case))

    def once(self):
        """One boot. Returns whether the fuzzer came to its end."""
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
        """What has come of a boot."""
        self.collect()
        if boot.splats:
            self.found[before:] = [f._replace(where=boot.console)
                                   for f in self.found[before:]]
        rc = found.status(self.folder)
        found.check_ran(self.folder, rc)
        # be it that it came before the run or after it
        boot.splats = {RUN: [x for texts in boot.splats.values() for x in texts]}
        what = found.unnoticed(boot, RUN, rc, self.found[before:])
        if what:
            self.add(*what, boot)
        self.next_seed()
        return rc in (found.GOOD, found.FAILED)

    def next_seed(self):
        """The one after those that are done."""
        rounds = found.stats(self.folder).get('rounds', 0)
        last = re.match(r'\d+', read(self.folder, 'last'))
        self.idle = 0 if rounds or last else self.idle + 1
        if self.idle == 3:
            raise Error('guest %d dies without a round, see build/log/console-fuzz%d.*'
                        % (self.nr, self.nr))
        self.rounds += rounds
        self.seed = max(self.seed + rounds, int(last[0]) if last and
                        self.seed <= int(last[0]) < self.seed + SEEDS else 0) + 1
        # counted: what comes next begins with nothing
        for name in ('stats', 'last'):
            if os.path.exists(os.path.join(self.folder, name)):
                os.rename(os.path.join(self.folder, name),
                          os.path.join(self.folder, '%s.%d' % (name, self.guest.boots)))

    def run(self):
        """All of it."""
        os.makedirs(self.folder, exist_ok=True)
        while self.left() >= SHORT or self.end is None:
            if self.guest.stop_all.is_set() or self.once():
                break
