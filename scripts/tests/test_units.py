# SPDX-License-Identifier: GPL-2.0
"""The units and the snippet of iou-patterns are what systemd accepts."""
import os
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

from fixture import ENV, TOP, read

TOOLS = os.path.join(TOP, 'tools/io_uring')
SERVICE = 'iou-patterns.service'
MOUNT = 'run-iou\\x2dpatterns.mount'
TMPFILES = os.path.join(TOOLS, 'iou-patterns/iou-patterns.tmpfiles')


def units():
    """Return the units by the names with which they are installed."""
    return {SERVICE: re.sub(r'/usr/local/bin/iou-patterns\b', '/bin/true',
                            read(TOOLS, 'iou-patterns/iou-patterns.service')),
            MOUNT: read(TOOLS, 'iou-patterns/iou-patterns.mount')}


class Units(unittest.TestCase):

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='iou-bpf-test.')
        self.addCleanup(shutil.rmtree, self.dir)

    def run_tool(self, *command):
        """Return the output of a program of systemd."""
        if not shutil.which(command[0]):
            self.skipTest('no ' + command[0])
        return subprocess.run(command, cwd=self.dir, env=ENV, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT).stdout.decode()

    def complaints(self, files):
        """Return what systemd says about these units."""
        for name, text in files.items():
            with open(os.path.join(self.dir, name), 'w', encoding='ascii') as f:
                f.write(text)
        return self.run_tool('systemd-analyze', 'verify', '--man=no', *[
            os.path.join(self.dir, name) for name in files])

    def test_names(self):
        """The name of the mount unit is that of its folder, with escapes."""
        where = re.search('^Where=/(.*)$', units()[MOUNT], re.M)[1]
        self.assertEqual(MOUNT, where.replace('-', '\\x2d').replace('/', '-') + '.mount')
        self.assertIn("/systemd/system/%s'" % MOUNT, read(TOOLS, 'Makefile'))
        for key in 'Requires', 'After':
            self.assertIn('\n%s=%s\n' % (key, MOUNT), units()[SERVICE])

    def test_verify(self):
        files = units()
        self.assertNotIn('/usr/local', files[SERVICE])
        self.assertEqual('', self.complaints(files))

    def test_verify_complains(self):
        for name, old, new, says in (
                (SERVICE, 'NoNewPrivileges', 'NoNewPrivilege', 'NoNewPrivilege'),
                (SERVICE, 'Type=oneshot', 'Type=once', 'service type'),
                (MOUNT, 'Where=/run/', 'Where=/run/other/', 'Where=')):
            files = units()
            self.assertEqual(1, files[name].count(old), old)
            files[name] = files[name].replace(old, new)
            self.assertIn(says, self.complaints(files))

    @unittest.skipIf(os.getuid(), 'the folder belongs to root')
    def test_tmpfiles(self):
        """The folder is that of the tool, and only root can write to it."""
        self.assertEqual('', self.run_tool('systemd-tmpfiles', '--create',
                                           '--root=' + self.dir, TMPFILES))
        where = re.search('"(/.*)"', re.search('PIN_DIR.*', read(TOOLS, 'iou-patterns/main.c'))[0])[1]
        st = os.stat(self.dir + where)
        self.assertTrue(stat.S_ISDIR(st.st_mode))
        self.assertEqual(0o755, stat.S_IMODE(st.st_mode))
