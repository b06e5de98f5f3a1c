# SPDX-License-Identifier: GPL-2.0
"""scripts/splat.sh finds complaints, and attributes them to tests."""
import os
import subprocess
import tempfile
import unittest

from fixture import SCRIPTS


class Splat(unittest.TestCase):

    def test_none(self):
        self.assertEqual((0, ''), self.run_on('[ 1.0] fine\n'))

    def test_splat_names_the_test(self):
        rc, out = self.run_on('[ 1.0] selftest: running a_test\r\n'
                              '[ 1.1] selftest: running b_test\r\n'
                              '[ 1.2] BUG: KASAN: slab-use-after-free in x\r\n'
                              '[ 1.3] selftest: running c_test\r\n')
        self.assertEqual(1, rc)
        self.assertIn('splat in b_test: [ 1.2] BUG: KASAN', out)
        self.assertNotIn('c_test', out)

    def test_before_any_test(self):
        self.assertEqual((1, 'splat: [ 1.0] WARNING: CPU: 0\n'),
                         self.run_on('[ 1.0] WARNING: CPU: 0\n'))

    def test_no_log(self):
        p = subprocess.run([os.path.join(SCRIPTS, 'splat.sh'), '/nowhere'],
                           capture_output=True, text=True)
        self.assertEqual(2, p.returncode)

    def run_on(self, text):
        with tempfile.NamedTemporaryFile('w', suffix='.log') as f:
            f.write(text)
            f.flush()
            p = subprocess.run([os.path.join(SCRIPTS, 'splat.sh'), f.name],
                               capture_output=True, text=True)
        return p.returncode, p.stdout
