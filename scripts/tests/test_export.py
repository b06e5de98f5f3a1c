# SPDX-License-Identifier: GPL-2.0
"""Commits and patches of export.py."""
import os
import subprocess

from fixture import BPF, ENV, SELFTESTS, UAPI, Case, git


class Export(Case):
    """Commits and patches."""

    def patches(self):
        return self.files(os.path.join(self.top, 'build/series'))

    def test_commits(self):
        self.good('export.py')
        self.assertEqual(git(self.tree, 'log', '--format=%s', 'series'),
                         'selftests: tests\nio_uring: two\nio_uring: one\n'
                         'Linux\n')
        self.assertEqual(git(self.tree, 'log', '-1', '--format=%B',
                             'series~1'), 'io_uring: two\n\nWhy two.\n\n')

    def test_states_of_a_file(self):
        self.good('export.py')
        self.assertEqual(self.show('io_uring/bpf.c', 'refs/patches/one'), BPF)
        self.assertEqual(self.show('io_uring/bpf.c'), BPF + 'int two;\n')
        one = self.show('io_uring/core.c', 'refs/patches/one')
        self.assertIn('int x = 40;', one)
        self.assertNotIn('return 100;', one)
        self.assertIn('return 100;', self.show('io_uring/core.c'))
        self.assertIn('config IO_URING_BPF_PROG', self.show('io_uring/Kconfig'))

    def test_copy_of_uapi(self):
        self.good('export.py')
        have = self.show('tools/include/uapi/linux/bpf.h', 'refs/patches/one')
        self.assertEqual(have, self.show('include/uapi/linux/bpf.h'))
        self.assertNotEqual(have, UAPI)

    def test_maintainers(self):
        self.good('export.py')
        self.assertIn('IO_URING BPF-OPS\nS:\tx\n\nIO_URING BPF PROGRAMS\n'
                      'S:\tx\n\nIPMI\n', self.show('MAINTAINERS'))

    def test_modes(self):
        self.good('export.py')
        self.assertTrue(git(self.tree, 'ls-tree', 'series', SELFTESTS +
                            'run.sh').startswith('100755 '))

    def test_byte_identity(self):
        self.good('export.py')
        first, tip = self.patches(), git(self.tree, 'rev-parse', 'series')
        # neither other objects nor the time make a difference
        for i in range(50):
            subprocess.run(['git', '-C', self.tree, 'hash-object', '-w',
                            '--stdin'], input=b'%d' % i, env=ENV, check=True,
                           stdout=subprocess.DEVNULL)
        git(self.tree, 'config', 'diff.noprefix', 'true')
        git(self.tree, 'config', 'format.signature', 'me')
        git(self.tree, 'config', 'core.abbrev', '5')
        git(self.tree, 'checkout', '-q', 'series')
        self.good('export.py')
        self.assertEqual(self.patches(), first)
        self.assertEqual(git(self.tree, 'rev-parse', 'series'), tip)

    def test_cover_letter(self):
        self.good('export.py')
        text = self.patches()['0000-cover-letter.patch'].decode()
        self.assertIn('Subject: [PATCH 0/3] a cover\n', text)
        self.assertIn('\nWhy all of it.\n', text)
        self.assertIn('base-commit: ' + git(self.tree, 'rev-parse', 'base'),
                      text)
        self.assertNotIn('***', text)
        self.assertEqual(len(self.patches()), 4)

    def test_cover_numbers(self):
        """Slugs in the cover letter are replaced by the numbers of the patches."""
        self.put('scripts/series/cover.txt', 'a cover\n\nIn {two} to {tests}, {} and {x y}.\n')
        self.good('export.py')
        self.assertIn('\nIn 2 to 3, {} and {x y}.\n',
                      self.patches()['0000-cover-letter.patch'].decode())
        self.put('scripts/series/cover.txt', 'a cover\n\nIn {four}.\n')
        self.bad('export.py', says='scripts/series/cover.txt: no patch "four" is in '
                                   'scripts/series/order')

    def test_git_am(self):
        err = self.good('export.py', '--verify')
        self.assertIn('git am', err)
        where = os.path.join(self.tmp, 'am')
        git(self.tree, 'worktree', 'add', '-q', '--detach', where, 'base')
        mails = sorted(n for n in self.patches() if n > '0001')
        git(where, 'am', '-q', *[os.path.join(self.top, 'build/series', n)
                                 for n in mails])
        self.assertEqual(git(where, 'rev-parse', 'HEAD^{tree}'),
                         git(self.tree, 'rev-parse', 'series^{tree}'))

    def test_branch_changed_by_hand(self):
        self.good('export.py')
        tip = git(self.tree, 'rev-parse', 'series').strip()
        other = git(self.tree, 'commit-tree', 'base^{tree}', '-p', tip,
                    '-m', 'mine').strip()
        git(self.tree, 'update-ref', 'refs/heads/series', other)
        self.assertIn('refs/saved/', self.good('export.py'))
        self.assertIn(other, git(self.tree, 'for-each-ref', 'refs/saved'))

    def test_no_kernel(self):
        self.cache = os.path.join(self.tmp, 'nowhere')
        self.bad('export.py', says='there is no kernel in the cache')
