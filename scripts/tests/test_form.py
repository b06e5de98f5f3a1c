# SPDX-License-Identifier: GPL-2.0
"""The repository makes a series, or export.py reports the reason."""
import os

from fixture import BPF, REPO, SELFTESTS, Case, git

BPF_C = 'io_uring/bpf.c'
CORE = 'io_uring/core.c.patch'
KCONFIG = 'Kconfig.patch'
ORDER = 'scripts/series/order'
TWO = 'scripts/series/two.diff'
TXT = 'scripts/series/two.txt'
BACK = ': patch "two" cannot be undone: '
OTHER = REPO[CORE].replace('io_uring/core', 'kernel/other')


class Form(Case):
    """Each test breaks one thing."""

    def broken(self, *edits):
        """Try edits of a file, each of which breaks the series: old, new, error."""
        for rel, old, new, says in edits:
            text = REPO[rel]
            self.assertEqual(text.count(old), 1, old)
            self.put(rel, text.replace(old, new))
            self.fails(says if says.startswith(('scripts/', 'io_')) else rel + says)
            self.put(rel, text)
        self.good('export.py')

    def fails(self, says):
        """Check that there is no series, and that nothing is left of the attempt."""
        err = self.bad('export.py', says=says)
        self.assertEqual(git(self.tree, 'for-each-ref',
                             '--format=%(refname)'), 'refs/heads/base\n')
        self.assertEqual(sorted(os.listdir(self.cache)), ['linux', 'series.lock'])
        return err

    def adds(self, rel, text, says):
        """Check that an additional file breaks the series."""
        self.put(rel, text)
        self.fails(says)

    def test_patch(self):
        """patch(1) would accept some of these, with an offset or fuzz."""
        self.broken(
            (CORE, '\n int f11(void)\n', '\n', ': it does not apply: corrupt'),
            (CORE, ' int f11(void)', ' int f12(void)', ': it does not apply: '
             'io_uring/core.c: the hunk of line 50 does not fit'),
            (CORE, '@@ -50,7 +51,7 @@', '@@ -53,7 +54,7 @@',
             ':14: it applies, but git diff has "@@ -50,7 +51,7 @@" there'),
            (CORE, 'diff --git', 'words\ndiff --git', ':1: it applies, but'),
            (CORE, REPO[CORE], REPO[CORE] + 'x\n', ':'),
            (KCONFIG, REPO[KCONFIG], 'x\n', ': it changes nothing in io_uring/K'),
            (KCONFIG, REPO[KCONFIG], '', ': it changes nothing in io_uring/K'),
            (KCONFIG, REPO[KCONFIG], REPO[CORE], 'io_uring/core.c.patch: it does'))

    def test_function(self):
        """Another version of git may find another function for a hunk."""
        self.put(CORE, REPO[CORE].replace('int f9(void)', 'int g9(void)'))
        self.put(TWO, REPO[TWO].replace('int f9(void)', 'int g9(void)'))
        self.assertNotIn('WARNING', self.good('export.py'))

    def test_several_errors(self):
        for rel in KCONFIG, CORE:
            self.put(rel, REPO[rel].replace('\n ', '\n x'))
        err = self.fails(KCONFIG + ': it does not apply')
        self.assertIn('error: %s: it does not apply' % CORE, err)

    def test_new_or_edited(self):
        self.adds('kernel/none.c.patch', REPO[CORE], 'kernel/none.c.patch: the '
                  'kernel has no file kernel/none.c to edit')
        self.adds('kernel/other.c', 'x\n', 'kernel/other.c: the kernel has this')
        os.unlink(os.path.join(self.top, 'kernel/none.c.patch'))
        os.unlink(os.path.join(self.top, 'kernel/other.c'))
        self.adds('MAINTAINERS', 'A\nS:\tx\n\nB\nS:\tx\n',
                  'MAINTAINERS: it has to be one stanza')

    def test_diff(self):
        self.broken(
            (BPF_C, 'int bpf9', 'int more', TWO + BACK + BPF_C + ': the hunk of '
             'line 8 does not fit'),
            (TWO, '-\treturn 10;\n', '', BACK + 'corrupt patch at line'),
            (TWO, REPO[TWO], REPO[TWO] + OTHER, BACK + 'kernel/other.c: '))

    def test_diff_beside_an_edit(self):
        """An edit that is in no .diff goes to the first patch."""
        self.put(BPF_C, 'int new;\n' + REPO[BPF_C])
        self.assertIn('WARNING: %s: it applies, but make refresh' % TWO,
                      self.good('export.py', '--verify'))
        self.assertEqual(self.show(BPF_C, 'refs/patches/one'),
                         'int new;\n' + BPF)

    def test_diff_of_no_patch(self):
        self.adds('scripts/series/tow.diff', REPO[TWO], 'scripts/series/tow.diff'
                  ': no patch "tow" is in scripts/series/order')

    def test_something_left(self):
        """The patch deletes a file that no patch adds."""
        self.adds('scripts/series/tests.diff', 'diff --git a/x.c b/x.c\n'
                  'deleted file mode 100644\n--- a/x.c\n+++ /dev/null\n'
                  '@@ -1 +0,0 @@\n-int x;\n', 'x.c: with all patches undone')

    def test_unlisted(self):
        self.adds('io_uring/stray.c', 'x\n', 'io_uring/stray.c: no patch is the')
        self.adds('kernel/other.c.patch', OTHER, 'kernel/other.c.patch: no patch')

    def test_listed(self):
        self.broken(*[(TXT, 'Kconfig\n', 'Kconfig\n%s\n' % path, ': ' + says)
                      for path, says in (
            (BPF_C, 'patch "one" lists io_uring/bpf.c as well'),
            ('io_uring/none.c', 'the patch does not touch io_uring/none.c'),
            ('kernel/other.c', 'the patch does not touch kernel/other.c'))])

    def test_message(self):
        self.broken(
            (TXT, '\n---\n', '\n--\n', ': no line "---"'),
            (TXT, 'io_uring: two', '', ': no subject in its first line'),
            (TXT, 'two\n\n', 'two\n', ': no empty line and text below'),
            (TXT, 'Why two.', 'see\ndiff -u a b', ':4: "diff -u a b" would end'))
        os.unlink(os.path.join(self.top, TXT))
        self.bad('export.py', says=TXT + ': no such file')

    def test_order(self):
        """Of two patches of a file, the first one must list it."""
        self.put('scripts/series/none.txt', 'none\n\nnone\n---\n')
        self.fails('scripts/series/none.txt: no patch "none" is in')
        self.put(ORDER, REPO[ORDER] + 'none\n')
        self.fails('scripts/series/none.txt: the patch touches nothing')
        os.unlink(os.path.join(self.top, 'scripts/series/none.txt'))
        self.broken((ORDER, 'two', 'two\ntwo', ': a slug is listed twice'),
                    (ORDER, 'two', 'T/o', ': "T/o" is not a valid slug'),
                    (ORDER, 'two\n', '', TXT + ': no patch "two" is in'),
                    (ORDER, REPO[ORDER], '#\n', ': the series is empty'),
                    (ORDER, 'one\ntwo', 'two\none', TWO + BACK + BPF_C +
                     ': does not exist in index'))

    def test_no_part_of_the_series(self):
        for rel in ('README', 'LICENSE', '.hidden', '.ci/run', 'scripts/x.py',
                    'build/x', 'liburing/1.patch', 'io_uring/bpf.c~', 'a/__pycache__/x'):
            self.put(rel, 'x\n')
        self.assertNotIn('WARNING', self.good('export.py'))
        self.assertEqual(len(git(self.tree, 'ls-tree', '-r', '--name-only',
                                 'series', '--', SELFTESTS).split()), 3)
