# SPDX-License-Identifier: GPL-2.0
"""scripts/check.sh shares test programs among guests, and counts what they found."""
import os
import shutil
import subprocess
import tempfile
import unittest

from fixture import ENV, SCRIPTS

COPIES = ('check.sh', 'guest.sh', 'lib.sh', 'session.sh', 'splat.sh', 'splat.allow',
          'splat.deny', 'tap.sh', 'vm.sh')
# stands in for a guest: runs the command on the host
BOOT = '''#!/bin/bash
. "$(dirname "$0")/lib.sh"
echo "booted" >"$2"
while [ "$1" != -- ]; do shift; done
shift
echo $$ >"$BUILD/pid.$$"
exec ${*//GUEST/$BUILD}
'''
GUESTLIB = '''
session=$(dirname "$(realpath "$0")")/session.sh limit=60 TMPDIR=$results/none
early_complaints() { :; }
umount() { :; }
'''
# the first test waits until the other guest has taken one as well
PASS = '''#!/bin/sh
echo "$0" >>"$RUNS"
n=0
while [ "$(ls "${RUNS%/*}/build/results/taken" | wc -l)" -lt 2 ] && [ $n -lt 300 ]; do
	sleep .1
	n=$((n + 1))
done
echo TAP version 13
echo 1..1
echo "ok 1 x"
'''
FAIL = PASS.replace('ok 1', 'not ok 1') + 'exit 1\n'
FAIL_ONCE = PASS.replace('echo "ok', """[ "$(grep -cxF "$0" "$RUNS")" -gt 1 ] || {
	echo "not ok 1 x"
	exit 1
}
echo "ok""")
# kills the guest that it runs in
KILL = '''#!/bin/bash
pid=$PPID
until [ -f "$(dirname "$RUNS")/build/pid.$pid" ]; do
	read -r _ _ _ pid _ <"/proc/$pid/stat"
done
kill -9 $pid
'''


class Check(unittest.TestCase):

    def setUp(self):
        self.top = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.top)
        os.mkdir(os.path.join(self.top, 'scripts'))
        for name in COPIES:
            shutil.copy(os.path.join(SCRIPTS, name), os.path.join(self.top, 'scripts'))
        self.put('scripts/boot.sh', BOOT)
        self.put('scripts/guestlib.sh', GUESTLIB)
        with open(self.path('scripts/vm.sh'), 'a', encoding='ascii') as f:
            f.write('vm_guests() { echo 2; }\nvm_accel() { :; }\nGUEST_BUILD=GUEST\n')
        with open(self.path('scripts/guest.sh'), encoding='ascii') as f:
            self.put('scripts/guest.sh', f.read().replace('/dev/kmsg', '/dev/null'))

    def path(self, *names):
        return os.path.join(self.top, *names)

    def put(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), 'w', encoding='ascii') as f:
            f.write(text)
        os.chmod(self.path(name), 0o755)

    def check(self, **tests):
        """Run check.sh on such tests. Return the exit status and the output."""
        for name, text in tests.items():
            self.put('build/kselftest/io_uring_bpf/' + name, text)
        p = subprocess.run([self.path('scripts/check.sh'), *tests], text=True, check=False,
                           capture_output=True, timeout=300,
                           env=dict(ENV, IOU_BPF_CACHE=self.path('cache'),
                                    RUNS=self.path('runs')))
        return p.returncode, p.stdout

    def runs(self):
        with open(self.path('runs'), encoding='ascii') as f:
            return sorted(f.read().split())

    def test_each_runs_once(self):
        """Both guests run tests, none of them twice."""
        names = ['t%02d' % i for i in range(12)]
        rc, out = self.check(**dict.fromkeys(names, PASS))
        self.assertIn('14 passed, 0 failed', out.splitlines(), out)
        self.assertEqual(0, rc)
        self.assertEqual(['./' + n for n in names], self.runs())
        for n in '12':
            self.assertTrue([x for x in os.listdir(self.path('build/results', n))
                             if x.endswith('.rc')], n)

    def test_failure(self):
        rc, out = self.check(a=PASS, b=FAIL, c=PASS)
        self.assertIn('5 passed, 1 failed', out.splitlines(), out)
        self.assertIn('not ok 1 x', out)
        self.assertEqual(1, rc)
        self.assertEqual(['./a', './b', './b', './c'], self.runs())

    def test_failure_once(self):
        """A test that passes when repeated has passed, and the failure is reported."""
        rc, out = self.check(a=PASS, b=FAIL_ONCE, c=PASS)
        self.assertEqual((0, '6 passed, 0 failed'), (rc, out.splitlines()[-1]), out)
        self.assertIn('failed at first:   not ok 1 x', out.splitlines())
        with open(self.path('build/unstable'), encoding='ascii') as f:
            self.assertEqual('b:\n  not ok 1 x\n', f.read())

    def test_many_failures(self):
        """Many failures are no accident, and are not repeated."""
        rc, out = self.check(**dict.fromkeys('abcde', FAIL_ONCE))
        self.assertEqual((1, '2 passed, 5 failed'), (rc, out.splitlines()[-1]), out)
        self.assertEqual(['./' + n for n in 'abcde'], self.runs())

    def test_skipped(self):
        """Skipped tests are in a list of this run, and do not count as passed."""
        self.put('build/skipped', 'of another run')
        rc, out = self.check(a=PASS, b=PASS.replace('ok 1 x', 'ok 1 x # SKIP why'))
        self.assertEqual(0, rc)
        self.assertEqual(['1 skipped, see build/skipped', '3 passed, 0 failed'],
                         out.splitlines()[-2:])
        with open(self.path('build/skipped'), encoding='ascii') as f:
            self.assertEqual('b: x # SKIP why\n', f.read())

    def test_mitigations(self):
        """The test that only a kernel without mitigations skips must not be skipped."""
        name = PASS.replace('ok 1 x', 'ok 1 speculation.cap_bpf')
        rc, out = self.check(speculation_test=name)
        self.assertEqual((0, '3 passed, 0 failed'), (rc, out.splitlines()[-1]), out)
        rc, out = self.check(speculation_test=name.replace('cap_bpf', 'cap_bpf # SKIP no'))
        self.assertEqual(1, rc)
        self.assertIn('failed: speculation_test: cap_bpf was skipped', out)

    def test_guest_dies(self):
        """The other guest runs what is left, and the test that was running has failed."""
        rc, out = self.check(a=PASS, b=KILL, c=PASS, d=PASS, e=PASS)
        self.assertEqual(1, rc)
        self.assertIn('failed: b: has not run to its end', out)
        self.assertRegex(out, 'failed: guest [12] did not come to its end')
        self.assertIn('6 passed, 2 failed', out.splitlines(), out)
        self.assertEqual(['./a', './c', './d', './e'], self.runs())


if __name__ == '__main__':
    unittest.main()
