# SPDX-License-Identifier: GPL-2.0
"""scripts/session.sh runs a program, and leaves no processes behind."""
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from fixture import SCRIPTS

# a process group that only SIGKILL ends, and that keeps the output open
SPIN = '''
set -m
(trap '' TERM HUP INT; echo $BASHPID >"$0.pid"; while :; do :; done) &
while [ ! -s "$0.pid" ]; do sleep 0.01; done
'''


class Session(unittest.TestCase):

    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        self.program = os.path.join(self.dir, 'program')

    def run_program(self, text, limit=60):
        """Return the exit status and the output."""
        with open(self.program, 'w', encoding='ascii') as f:
            f.write('#!/bin/bash\n' + text)
        os.chmod(self.program, 0o700)
        output = os.path.join(self.dir, 'output')
        rc = subprocess.run([os.path.join(SCRIPTS, 'session.sh'), str(limit),
                             output, self.program], timeout=50,
                            check=False).returncode
        with open(output, encoding='ascii') as f:
            return rc, f.read()

    def assert_gone(self):
        """Check that the process of SPIN is gone or a zombie."""
        with open(self.program + '.pid', encoding='ascii') as f:
            stat = '/proc/%s/stat' % f.read().strip()
        for _ in range(50):
            try:
                with open(stat, encoding='ascii') as f:
                    if f.read().rpartition(')')[2].split()[0] == 'Z':
                        return
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.1)
        self.fail('still there')

    def test_end(self):
        self.assertEqual((3, 'one\ntwo\n'),
                         self.run_program('echo one; echo two >&2; exit 3'))

    def test_child_is_left(self):
        self.assertEqual((4, 'x\n'), self.run_program(SPIN + 'echo x; exit 4'))
        self.assert_gone()

    def test_too_long(self):
        rc, out = self.run_program(SPIN + 'echo x; sleep 60', limit=5)
        self.assertEqual((124, 'x\n# killed after 5 seconds\n'), (rc, out))
        self.assert_gone()

    def test_killed(self):
        self.assertEqual((137, ''), self.run_program(SPIN + 'kill -9 $$'))
        self.assert_gone()
