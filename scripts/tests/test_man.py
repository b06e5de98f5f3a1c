# SPDX-License-Identifier: GPL-2.0
"""man has no complaint about the man pages: of tools/io_uring, and new ones of liburing."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from fixture import ENV, TOP, git

NEW = re.compile(r'^new file mode 100644\n(?:index .*\n)?--- .*\n\+\+\+ b/(man/.*)$', re.M)


@unittest.skipUnless(shutil.which('man'), 'no man')
class Man(unittest.TestCase):

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='iou-bpf-test.')
        self.addCleanup(shutil.rmtree, self.dir)

    def complaints(self, page):
        """Return what man says when it formats a page."""
        # neither a pager nor what depends on the terminal
        r = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', page],
                           env=dict(ENV, MANROFFSEQ='', MANWIDTH='80'), stderr=subprocess.PIPE,
                           stdout=subprocess.PIPE)
        self.assertTrue(r.stdout, page)
        return r.stderr.decode()

    def test_tools(self):
        pages = [p for p in glob.glob(TOP + '/tools/io_uring/**/*.[1-8]', recursive=True)
                 if '/build/' not in p]
        self.assertGreater(len(pages), 4)
        for page in pages:
            self.assertEqual('', self.complaints(page), page)

    def test_liburing(self):
        git(self.dir, 'init', '-q')
        nr = 0
        for patch in sorted(glob.glob(TOP + '/liburing/*.patch')):
            with open(patch, encoding='utf-8') as f:
                names = NEW.findall(f.read())
            for name in names:
                git(self.dir, 'apply', '--include=' + name, patch)
                self.assertEqual('', self.complaints(os.path.join(self.dir, name)), name)
                nr += 1
        self.assertGreater(nr, 2)

    def test_complains(self):
        page = os.path.join(self.dir, 'page.1')
        with open(page, 'w', encoding='ascii') as f:
            f.write('.TH PAGE 1\n.SH NAME\npage \\- a page\n.XX nonsense\n')
        self.assertIn('XX', self.complaints(page))
