# SPDX-License-Identifier: GPL-2.0
"""Hunks apply to the letter, or not at all."""
from fixture import REPO, Case, git

PATCH = 'io_uring/core.c.patch'


class Hunks(Case):
    """Each test breaks one thing in a .patch."""

    def broken(self, old, new, says, rel=PATCH):
        text = REPO[rel]
        self.assertEqual(text.count(old), 1)
        self.put(rel, text.replace(old, new))
        err = self.bad('export.py', says=rel)
        self.assertIn(says, err)
        # nothing is left of the attempt
        self.assertEqual(git(self.tree, 'for-each-ref',
                             '--format=%(refname)'), 'refs/heads/base\n')

    def test_good(self):
        self.good('export.py')
        self.assertIn('return 100;', self.show('io_uring/core.c'))

    def test_too_few_lines(self):
        self.broken('\n int f5(void)\n', '\n', 'malformed hunk')

    def test_too_many_lines(self):
        self.broken('@@ -20,7 +20,8 @@', '@@ -20,6 +20,7 @@',
                    'malformed')

    def test_bad_header(self):
        self.broken('@@ -20,7 +20,8 @@', '@@ -20,7 @@', 'malformed hunk header')

    def test_line_without_tag(self):
        self.broken('-\treturn 10;', '\treturn 10;', 'malformed hunk')

    def test_blank_lost(self):
        # an editor that strips blanks at the end of a line
        self.broken('@@ int f9(void)\n \n', '@@ int f9(void)\n\n',
                    'malformed hunk')

    def test_changes_nothing(self):
        self.broken('-\treturn 10;\n+\treturn 100;\n', ' \treturn 10;\n',
                    'malformed hunk: it changes nothing')

    def test_wrong_context(self):
        # patch(1) would take that with fuzz
        self.broken(' int f11(void)', ' int f12(void)',
                    'line 57 of the file is "int f11(void)", not '
                    '"int f12(void)"')

    def test_wrong_removal(self):
        self.broken('-\treturn 10;', '-\treturn 11;', 'does not apply')

    def test_offset_before(self):
        self.broken('@@ -51,7 +51,7 @@', '@@ -53,7 +53,7 @@',
                    'only 2 lines before')

    def test_offset_after(self):
        self.broken('@@ -51,7 +51,7 @@', '@@ -48,7 +48,7 @@',
                    'only 3 lines after')

    def test_wrong_landing(self):
        self.broken('@@ -51,7 +51,7 @@', '@@ -51,7 +52,7 @@',
                    'says it lands at line 52, but it lands at line 51')

    def test_beyond_the_end(self):
        self.broken('@@ -51,7 +51,7 @@', '@@ -510,7 +510,7 @@',
                    'does not apply')

    def test_no_hunk(self):
        text = REPO['Kconfig.patch']
        self.broken(text[text.index('@@'):], '', 'malformed: no hunk',
                    'Kconfig.patch')

    def test_empty(self):
        self.broken(REPO['Kconfig.patch'], '', 'it is empty', 'Kconfig.patch')

    def test_other_file(self):
        self.broken('--- a/io_uring/Kconfig\n+++ b/io_uring/Kconfig',
                    '--- a/io_uring/core.c\n+++ b/io_uring/core.c',
                    'it edits io_uring/core.c', 'Kconfig.patch')

    def test_several_errors(self):
        self.put('Kconfig.patch', 'x\n')
        self.put('io_uring/core.c.patch', 'x\n')
        err = self.bad('export.py', says='Kconfig.patch:1: malformed')
        self.assertIn('error: io_uring/core.c.patch:1: malformed', err)
