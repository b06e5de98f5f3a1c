#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/fuzz.py run [TIME=20m] [SEED=NUMBER] [MODE=WORD,...] [MASKS=WORD,...]
       scripts/fuzz.py replay SEED=NAME [CONTROL=1] [TRIES=N] [MODE=] [MASKS=]
       scripts/fuzz.py min SEED=NAME [MODE=] [MASKS=]

Random programs on random rings, in guests: tools/testing/selftests/io_uring_bpf/fuzz.
MASKS=none lets known faults in, or all but those of some names are kept out.

run goes on for TIME, as 90s, 20m or 4h. A guest that dies or hangs is booted again
for what is left; that time counts. Seeds begin at SEED, those of guest N at SEED +
(N - 1) * 1000000000. In the end it prints what was found, how to see that again, and
which lines of io_uring/bpf* were reached. Results are in build/fuzz/N, the lines that
were not reached in build/fuzz/unreached.txt. Exit status 1 if something was found. Last
line: "fuzz: N rounds, N failures".

replay runs one case some times. If that fails, the same is done with plain requests in
the place of flows, to see whose fault it is; with CONTROL=1 only that. Exit status 1 if
it fails.

min makes a case that fails smaller, boot after boot if need be, and prints it.
"""
import concurrent.futures
import os
import re
import shutil
import signal
import sys
import time

from fuzzlib import coverage, found, guest, options, share
from serieslib.util import Error, run, say

NAMES = {'run': ('TIME', 'SEED', 'MODE', 'MASKS'),
         'replay': ('SEED', 'CONTROL', 'TRIES', 'MODE', 'MASKS'),
         'min': ('SEED', 'MODE', 'MASKS')}
# seconds: nobody knows how long these take, and a guest that hangs is noticed anyway
LONG = 4 * 3600
# boots that get a minimisation nowhere
STUCK = 3


def clear(folder):
    """Removes the results of the run before."""
    shutil.rmtree(os.path.join(guest.BUILD, folder), ignore_errors=True)


def common(opts):
    """Arguments that a case depends on."""
    return options.words(opts, mode='MODE', masks='MASKS')


def replay_command(opts):
    """What a case is replayed with."""
    more = ''.join(' %s=%s' % (k, opts[k]) for k in ('MODE', 'MASKS') if opts[k])
    return lambda case: 'make fuzz-replay SEED=%s%s' % (case, more)


def run_shares(shares):
    """Side by side. Returns what none could go on with."""
    errors = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        left = {pool.submit(s.run) for s in shares}
        while left:
            try:
                done, left = concurrent.futures.wait(left, timeout=1)
            except KeyboardInterrupt:
                say('stopping the guests')
                guest.Guest.stop_all.set()
                continue
            for f in done:
                if f.exception():
                    guest.Guest.stop_all.set()
                    errors.append(f.exception())
    return errors


def fuzz(opts):
    """A run in all guests that there can be."""
    seconds = options.seconds(opts['TIME'] or '20m')
    seed = options.number(opts['SEED'] or str(int(time.time()) % share.SEEDS))
    words = common(opts)
    clear('fuzz')
    nr = guest.number_of()
    say('fuzzing for %s in %d guests, seed %d, log in build/log/console-fuzz<N>'
        % (options.spell(seconds), nr, seed))
    shares = [share.Share(i, seconds, seed, words) for i in range(1, nr + 1)]
    errors = run_shares(shares)
    try:
        print(*coverage.report(), sep='\n')
    except Error as e:
        print('no coverage:', *e.args)
    print()
    failures = [f for s in shares for f in s.found]
    print(*found.summary(failures, sum(s.all_rounds() for s in shares),
                         replay_command(opts)), sep='\n', flush=True)
    if errors:
        raise errors[0]
    return 1 if failures else 0


def name_of(opts):
    """The case that is meant."""
    if not re.fullmatch(r'\d[\w.+-]*', opts['SEED']):
        raise Error('SEED=%s is no case such as SEED=1234.77.9' % opts['SEED'])
    return opts['SEED']


def booted(machine, words):
    """One boot of the fuzzer with these arguments: (boot, exit status)."""
    command = ' '.join(['./iou_fuzz', '--out', machine.in_guest()] + words)
    while True:
        boot = machine.boot([guest.Plan(share.RUN, '.', LONG, command)])
        if machine.stop_all.is_set():
            raise KeyboardInterrupt
        if boot.came_up is not None:
            break
    boot.splats = {share.RUN: [x for texts in boot.splats.values() for x in texts]}
    rc = found.status(machine.results)
    found.check_ran(machine.results, rc)
    return boot, rc


def attempt(opts, control):
    """Runs a case. Returns lines that say what was wrong."""
    folder = 'fuzz-replay/' + ('plain' if control else 'flows')
    clear(folder)
    machine = guest.Guest('fuzz-replay', folder)
    words = ['--case', name_of(opts)] + options.words(opts, tries='TRIES') + common(opts)
    say('booting, for %s%s, log in build/log/console-fuzz-replay'
        % (opts['SEED'], ' with plain requests' if control else ''))
    boot, rc = booted(machine, words + (['--control'] if control else []))
    noticed = [found.parse(x) for x in found.lines(machine.results)]
    what = found.unnoticed(boot, share.RUN, rc, noticed)
    lines = ['%s: %s' % (f.kind, f.text) for f in noticed]
    if what:
        lines.append('%s: %s' % what)
    elif rc == found.FAILED and not lines:
        lines = guest.read(machine.results, 'output').split('\n')[-3:]
    if lines:
        lines += [x for x in boot.splats[share.RUN] if not any(x in y for y in lines)]
    return lines


def replay(opts):
    """A case, and whose fault it is if it fails."""
    wanted = bool(opts['CONTROL']) and opts['CONTROL'] != '0'
    what = 'with plain requests' if wanted else 'with flows'
    wrong = attempt(opts, wanted)
    print('%s %s: %s' % (opts['SEED'], what, 'reproduced' if wrong else 'not reproduced'),
          *wrong, sep='\n  ', flush=True)
    if wrong and not wanted:
        plain = attempt(opts, True)
        print('%s with plain requests: %s' % (
            opts['SEED'], 'reproduced' if plain else 'not reproduced'), *plain, sep='\n  ')
        print('the fault is in the base kernel' if plain else
              'the fault is in the feature')
    return 1 if wrong else 0


def minimise(opts):
    """A case, made smaller until it is as small as it gets."""
    name = name_of(opts)
    machine = guest.Guest('fuzz-min', 'fuzz-min')
    state, text = machine.path('min.' + name), machine.path('min.%s.txt' % name)
    if os.path.exists(text):
        # that is over; what was not goes on
        for path in state, text:
            if os.path.exists(path):
                os.unlink(path)
    os.makedirs(machine.results, exist_ok=True)
    before, stuck, rc = None, 0, None
    while rc not in (found.GOOD, found.FAILED):
        say('booting, to make %s smaller, log in build/log/console-fuzz-min' % name)
        _, rc = booted(machine, ['--min', name] + common(opts))
        now = guest.read(state)
        stuck = stuck + 1 if now == before else 0
        before = now
        if stuck == STUCK:
            raise Error('guests die, and %s stays as it is, see build/log/console-fuzz-min.*'
                        % os.path.relpath(state, os.path.dirname(guest.BUILD)))
    print(guest.read(machine.results, 'output').rstrip())
    if os.path.exists(text):
        print('\n' + guest.read(text).rstrip())
    return 0 if rc == found.FAILED else 1


def main():
    """See the top of the file."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(__doc__, end='')
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    what = {'run': fuzz, 'replay': replay, 'min': minimise}[sys.argv[1]]
    return what(options.parse(sys.argv[2:], NAMES[sys.argv[1]]))


if __name__ == '__main__':
    run(main)
