# SPDX-License-Identifier: GPL-2.0
"""tree.py applies the series to the work tree, without loss of edits."""
import os

from fixture import REPO, SELFTESTS, Case, git, write

CORE = 'io_uring/core.c'


class Tree(Case):
    """Applying the series to the work tree."""

    def clean(self, want='series'):
        """Check that the work tree equals the branch."""
        self.assertEqual(git(self.tree, 'symbolic-ref', 'HEAD'),
                         'refs/heads/series\n')
        self.assertEqual(git(self.tree, 'status', '--porcelain'), '')
        self.assertEqual(git(self.tree, 'diff', want), '')
        # git tracks the files, despite .gitignore
        self.assertIn('io_uring/bpf.c', git(self.tree, 'ls-files'))

    def saved(self):
        return git(self.tree, 'for-each-ref', '--format=%(refname)',
                   'refs/saved').split()

    def times(self):
        found = {}
        for rel in self.files(self.tree):
            if not rel.startswith('.git/'):
                st = os.stat(os.path.join(self.tree, rel))
                found[rel] = (st.st_mtime_ns, st.st_ino)
        return found

    def test_from_base(self):
        self.good('tree.py')
        self.clean()
        self.assertEqual(self.saved(), [])

    def test_only_changed_files_touched(self):
        before = self.times()
        self.good('tree.py')
        first = self.times()
        self.assertEqual(first['kernel/other.c'], before['kernel/other.c'])
        self.good('tree.py')
        self.assertEqual(self.times(), first)
        self.put('io_uring/bpf.c', 'int more;\n' + REPO['io_uring/bpf.c'])
        self.good('tree.py')
        self.clean()
        last = self.times()
        self.assertEqual([r for r in first if last[r] != first[r]],
                         ['io_uring/bpf.c'])
        self.assertEqual(self.saved(), [])

    def test_edits_saved(self):
        self.good('tree.py')
        self.edit(CORE, 'return 15;', 'return 150;')
        write(self.tree, {SELFTESTS + 'mine.h': 'int mine;\n',
                          'io_uring/bpf.o': 'x'})
        err = self.good('tree.py')
        self.clean()
        ref, = self.saved()
        self.assertIn(ref, err)
        self.assertIn('return 150;', self.show(CORE, ref))
        self.assertEqual(self.show(SELFTESTS + 'mine.h', ref), 'int mine;\n')
        self.assertNotIn('bpf.o', git(self.tree, 'ls-tree', '-r', ref))
        self.assertTrue(os.path.exists(os.path.join(self.tree,
                                                    'io_uring/bpf.o')))

    def test_edits_on_base_saved(self):
        write(self.tree, {'io_uring/bpf.c': 'int mine;\n'})
        self.good('tree.py')
        self.clean()
        ref, = self.saved()
        self.assertEqual(self.show('io_uring/bpf.c', ref), 'int mine;\n')

    def test_refreshed_edits_stay(self):
        self.good('tree.py')
        self.edit(CORE, 'return 15;', 'return 150;')
        git(self.tree, 'commit', '-q', '-a', '-m', 'io_uring: more\n\nWhy.')
        self.good('refresh.py')
        before = self.times()
        self.good('tree.py')
        self.clean()
        self.assertEqual(self.times(), before)
        self.assertEqual(self.saved(), [])

    def test_commit_on_the_branch_saved(self):
        self.good('tree.py')
        self.edit(CORE, 'return 15;', 'return 150;')
        git(self.tree, 'commit', '-q', '-a', '-m', 'mine')
        mine = git(self.tree, 'rev-parse', 'HEAD').strip()
        self.good('tree.py')
        self.clean()
        # saved unchanged, and only once
        self.assertEqual(self.saved(), ['refs/saved/series-' + mine[:12]])

    def test_edits_on_a_commit_saved(self):
        self.good('tree.py')
        git(self.tree, 'checkout', '-q', '--detach')
        self.edit(CORE, 'return 15;', 'return 150;')
        git(self.tree, 'commit', '-q', '-a', '-m', 'mine')
        mine = git(self.tree, 'rev-parse', 'HEAD').strip()
        self.good('tree.py')
        self.clean()
        ref, = self.saved()
        self.assertEqual(git(self.tree, 'rev-parse', ref + '~').strip(), mine)

    def test_rebase_under_way(self):
        self.good('tree.py')
        os.mkdir(os.path.join(self.tree, '.git/rebase-merge'))
        self.bad('tree.py', says='a rebase is under way in ' + self.tree)

    def test_foreign_file_in_the_way(self):
        write(self.tree, {SELFTESTS + 'flow_test': 'built\n'})
        self.put(SELFTESTS + 'flow_test', 'x\n')
        rel = 'scripts/series/tests.txt'
        self.put(rel, REPO[rel] + SELFTESTS + 'flow_test\n')
        self.bad('tree.py', says='in the way of the series')
        with open(os.path.join(self.tree, SELFTESTS, 'flow_test'),
                  encoding='utf-8') as f:
            self.assertEqual(f.read(), 'built\n')

    def test_edit_of_what_two_patches_touch(self):
        self.put('io_uring/bpf.c', REPO['io_uring/bpf.c'].replace('9', '99'))
        err = self.bad('tree.py', says='scripts/series/two.diff: patch "two" '
                                       'cannot be undone: io_uring/bpf.c')
        self.assertIn('git commit --fixup', err)

    def test_broken_series(self):
        before = self.times()
        self.put('Kconfig.patch', 'x\n')
        self.bad('tree.py', says='Kconfig.patch: it changes nothing')
        self.assertEqual(self.times(), before)
