# SPDX-License-Identifier: GPL-2.0
"""What the repository holds makes a series, or one line says why not."""
import os

from fixture import BPF, REPO, SELFTESTS, Case, git

CORE = 'io_uring/core.c.patch'
TWO = 'scripts/series/two.diff'


class Form(Case):
    """Each test breaks one thing."""

    def broken(self, rel, old, new, says):
        """Edits a file of the repository, after which there is no series."""
        text = REPO[rel]
        self.assertEqual(text.count(old), 1)
        self.put(rel, text.replace(old, new))
        err = self.bad('export.py', says=says)
        # nothing is left of the attempt
        self.assertEqual(git(self.tree, 'for-each-ref',
                             '--format=%(refname)'), 'refs/heads/base\n')
        self.assertEqual(sorted(os.listdir(self.cache)), [
            'linux', 'series.lock'])
        return err

    def txt(self, slug, old, new, says):
        rel = 'scripts/series/%s.txt' % slug
        return self.broken(rel, old, new, says if ': ' in says
                           else '%s: %s' % (rel, says))

    # the .patch of an edited file

    def test_patch_corrupt(self):
        self.broken(CORE, '\n int f11(void)\n', '\n',
                    CORE + ': it does not apply: corrupt patch')

    def test_patch_context(self):
        # patch(1) would take that with fuzz
        self.broken(CORE, ' int f11(void)', ' int f12(void)', CORE + ': it does '
                    'not apply: io_uring/core.c: the hunk of line 50 does not')

    def test_patch_offset(self):
        self.broken(CORE, '@@ -50,7 +51,7 @@', '@@ -53,7 +54,7 @@',
                    CORE + ':14: it applies, but git diff has "@@ -50,7 +51,7')

    def test_patch_function(self):
        self.put(CORE, REPO[CORE].replace('int f9(void)', 'int g9(void)'))
        self.good('export.py')

    def test_patch_more(self):
        self.broken(CORE, 'diff --git', 'words\ndiff --git', CORE + ':1: it')

    def test_patch_empty(self):
        for text in '', 'x\n':
            self.broken('Kconfig.patch', REPO['Kconfig.patch'], text,
                        'Kconfig.patch: it changes nothing in io_uring/Kconfig')

    def test_patch_of_other_file(self):
        self.put('Kconfig.patch', REPO[CORE])
        self.bad('export.py', says='io_uring/core.c.patch: it does not apply')

    def test_patch_of_no_file(self):
        self.put('kernel/none.c.patch', REPO[CORE])
        self.bad('export.py', says='kernel/none.c.patch: the kernel has no '
                                   'file kernel/none.c')

    def test_patch_at_other_place(self):
        self.put('io_uring/Kconfig.patch', REPO['Kconfig.patch'])
        self.bad('export.py', says='io_uring/Kconfig.patch: it belongs in '
                                   'Kconfig.patch')

    def test_several_errors(self):
        for rel in 'Kconfig.patch', CORE:
            self.put(rel, REPO[rel].replace('\n ', '\n x'))
        err = self.bad('export.py', says='Kconfig.patch: it does not apply')
        self.assertIn('error: %s: it does not apply' % CORE, err)

    def test_whole_file_of_the_kernel(self):
        self.put('kernel/other.c', 'x\n')
        self.bad('export.py', says='kernel/other.c: the kernel has this file')

    def test_maintainers_stanzas(self):
        self.put('MAINTAINERS', 'A\nS:\tx\n\nB\nS:\tx\n')
        self.bad('export.py', says='MAINTAINERS: it has to be one stanza')

    # what a patch does to files of earlier ones

    def test_diff_does_not_undo(self):
        err = self.broken('io_uring/bpf.c', 'int bpf9', 'int more', TWO +
                          ': patch "two" cannot be taken back: io_uring/bpf.c: '
                          'the hunk of line 8 does not fit')
        self.assertIn('git commit --fixup', err)

    def test_diff_corrupt(self):
        self.broken(TWO, '-\treturn 10;\n', '', TWO + ': patch "two" cannot be '
                    'taken back: corrupt patch at line')

    def test_diff_beside_an_edit(self):
        """An edit that no .diff is about goes to the patch of the lines."""
        self.put('io_uring/bpf.c', 'int new;\n' + REPO['io_uring/bpf.c'])
        self.assertIn('WARNING: %s: it applies, but make refresh' % TWO,
                      self.good('export.py', '--verify'))
        self.assertEqual(self.show('io_uring/bpf.c', 'refs/patches/one'),
                         'int new;\n' + BPF)

    def test_no_warning(self):
        self.assertNotIn('WARNING', self.good('export.py'))

    def test_diff_of_untouched_file(self):
        self.put(TWO, REPO[TWO] + REPO['Kconfig.patch'].replace(
            'io_uring/Kconfig', 'kernel/other.c'))
        self.bad('export.py', says=TWO + ': patch "two" cannot be taken back: '
                                         'kernel/other.c: ')

    def test_diff_of_no_patch(self):
        self.put('scripts/series/tow.diff', REPO[TWO])
        self.bad('export.py', says='scripts/series/tow.diff: no patch "tow" is '
                                   'in scripts/series/order')

    def test_something_left(self):
        """It deletes a file that no patch adds."""
        self.put('scripts/series/tests.diff', 'diff --git a/x.c b/x.c\n'
                 'deleted file mode 100644\n--- a/x.c\n+++ /dev/null\n'
                 '@@ -1 +0,0 @@\n-int x;\n')
        self.bad('export.py', says='x.c: with all patches taken back, it is not')

    # who is the first to touch a file

    def test_unlisted(self):
        self.put('io_uring/stray.c', 'x\n')
        self.bad('export.py', says='io_uring/stray.c: no patch is the first')
        self.put('kernel/other.c.patch', REPO[CORE].replace('io_uring/core',
                                                            'kernel/other'))
        self.bad('export.py', says='kernel/other.c.patch: no patch')

    def test_listed_twice(self):
        self.txt('two', 'Kconfig\n', 'Kconfig\nio_uring/bpf.c\n',
                 'patch "one" lists io_uring/bpf.c as well')

    def test_listed_and_missing(self):
        self.txt('two', 'Kconfig\n', 'Kconfig\nio_uring/none.c\n',
                 'the patch does not touch io_uring/none.c')

    def test_listed_and_untouched(self):
        self.txt('two', 'Kconfig\n', 'Kconfig\nkernel/other.c\n',
                 'the patch does not touch kernel/other.c')

    def test_touches_nothing(self):
        self.put('scripts/series/order', 'one\ntwo\nnone\ntests\n')
        self.put('scripts/series/none.txt', 'none\n\nnone\n---\n')
        self.bad('export.py', says='scripts/series/none.txt: the patch touches '
                                   'nothing')

    # messages and order

    def test_message(self):
        self.txt('two', '\n---\n', '\n--\n', 'no line "---"')
        self.txt('two', 'io_uring: two', '', 'no subject in its first line')
        self.txt('two', 'two\n\n', 'two\n', 'no empty line and text below')
        self.txt('two', 'Why two.', 'see\ndiff -u a b',
                 'scripts/series/two.txt:4: "diff -u a b" would end')
        os.unlink(os.path.join(self.top, 'scripts/series/two.txt'))
        self.bad('export.py', says='scripts/series/two.txt: no such file')

    def test_order(self):
        order = 'scripts/series/order'
        self.broken(order, 'two', 'two\ntwo', order + ': a slug is there twice')
        self.broken(order, 'two', 'T/o', order + ': "T/o" is no name of a patch')
        self.broken(order, 'two\n', '', 'scripts/series/two.txt: no patch "two"')
        self.broken(order, REPO[order], '#\n', order + ': the series is empty')

    def test_other_order(self):
        """The first of two patches of a file lists it."""
        self.broken('scripts/series/order', 'one\ntwo', 'two\none',
                    TWO + ': patch "two" cannot be taken back: io_uring/bpf.c: '
                          'does not exist in index')

    def test_no_part_of_the_series(self):
        for rel in ('README', 'LICENSE', '.hidden', '.ci/run', 'scripts/x.py',
                    'build/x', 'io_uring/bpf.c~', 'a/__pycache__/x'):
            self.put(rel, 'x\n')
        self.good('export.py')
        self.assertEqual(git(self.tree, 'ls-tree', '-r', '--name-only',
                             'series', '--', SELFTESTS).split(),
                         [SELFTESTS + n for n in ('.gitignore', 'Makefile',
                                                  'run.sh')])
