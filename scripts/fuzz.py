#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/fuzz.py run [TIME=20m] [SEED=NUMBER] [MODE=WORD,...]
       scripts/fuzz.py replay SEED=NAME [CONTROL=1] [TRIES=N] [MODE=]
       scripts/fuzz.py min SEED=NAME [MODE=]

Runs random programs on random rings in guests, with the fuzzer of
tools/testing/selftests/io_uring_bpf/fuzz.

run: fuzz for TIME, such as 90s, 20m or 4h, including reboots of guests that die or
hang. Guest N begins with seed SEED + (N - 1) * 1000000000. Prints the failures, a
command to replay each, and the line coverage of io_uring/bpf*. Results are in
build/fuzz/N, unreached lines in build/fuzz/unreached.txt. Last line: "fuzz: N rounds,
N failures". Exit status 1 if there are failures.

replay: run one case TRIES times (default: 5). If the case fails, repeat it with plain
requests instead of flows: if these fail too, the fault is in the base kernel. With
CONTROL=1, run only plain requests. Exit status 1 if the case fails.

min: minimise a case that fails, with several boots if necessary, and print it.
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

NAMES = {'run': ('TIME', 'SEED', 'MODE'),
         'replay': ('SEED', 'CONTROL', 'TRIES', 'MODE'),
         'min': ('SEED', 'MODE')}
# seconds: limit of runs of unknown duration; a hang is detected much earlier
LONG = 4 * 3600
# consecutive boots without progress that end a minimisation
STUCK = 3


def clear(folder):
    """Remove the results of the previous run."""
    shutil.rmtree(os.path.join(guest.BUILD, folder), ignore_errors=True)


def common(opts):
    """Return the arguments of the fuzzer that a case depends on."""
    return options.words(opts, mode='MODE')


def replay_command(opts):
    """Return a function from a case to the command that replays the case."""
    more = ' MODE=' + opts['MODE'] if opts['MODE'] else ''
    return lambda case: 'make fuzz-replay SEED=%s%s' % (case, more)


def run_shares(shares):
    """Run all shares in parallel. Return the errors that ended a share."""
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
    """Implement "run"."""
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
    """Return the name of the case."""
    if not re.fullmatch(r'\d[\w.+-]*', opts['SEED']):
        raise Error('SEED=%s is not a case, example: SEED=1234.77.9' % opts['SEED'])
    return opts['SEED']


def booted(machine, words):
    """Boot, run the fuzzer with these arguments, and return (boot, exit status)."""
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
    """Run the case. Return a description of its failures, as lines of text."""
    folder = 'fuzz-replay/' + ('plain' if control else 'flows')
    clear(folder)
    machine = guest.Guest('fuzz-replay', folder)
    words = ['--case', name_of(opts)] + options.words(opts, tries='TRIES') + common(opts)
    say('booting to replay %s%s, log in build/log/console-fuzz-replay'
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
    """Implement "replay"."""
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
    """Implement "min"."""
    name = name_of(opts)
    machine = guest.Guest('fuzz-min', 'fuzz-min')
    state, text = machine.path('min.' + name), machine.path('min.%s.txt' % name)
    if os.path.exists(text):
        # the last minimisation was complete: begin anew, instead of continuing
        for path in state, text:
            if os.path.exists(path):
                os.unlink(path)
    os.makedirs(machine.results, exist_ok=True)
    before, stuck, rc = None, 0, None
    while rc not in (found.GOOD, found.FAILED):
        say('booting to minimise %s, log in build/log/console-fuzz-min' % name)
        _, rc = booted(machine, ['--min', name] + common(opts))
        now = guest.read(state)
        stuck = stuck + 1 if now == before else 0
        before = now
        if stuck == STUCK:
            raise Error('no progress in %d boots: %s is unchanged, see '
                        'build/log/console-fuzz-min.*'
                        % (STUCK, os.path.relpath(state, os.path.dirname(guest.BUILD))))
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
