# SPDX-License-Identifier: GPL-2.0
"""Edits in the work tree come back to the repository."""
import os

from fixture import REPO, SELFTESTS, Case, git, write

CORE = 'io_uring/core.c'


class Refresh(Case):
    """The work tree holds the series, and gets edited."""

    def setUp(self):
        super().setUp()
        self.good('tree.sh')

    def round_trip(self):
        """What came back makes the tree that it came from."""
        self.good('export.py', '--verify')
        tip = git(self.tree, 'rev-parse', 'series^{tree}')
        index = os.path.join(self.tmp, 'index')
        rc, tree, err = self.script('snapshot.py', index)
        self.assertEqual(rc, 0, err)
        self.assertEqual(git(self.tree, 'diff-tree', '-r', tip.strip(),
                             tree.strip()), '')

    def repo(self):
        return {k: v.decode() for k, v in self.files(self.top).items()
                if not k.startswith('build/')}

    def test_nothing(self):
        self.assertIn('the repository has it all', self.good('refresh.py'))
        self.assertEqual(self.repo(), REPO)

    def test_round_trip(self):
        self.edit(CORE, 'return 15;', 'return 150;')
        self.edit('include/uapi/linux/bpf.h', '#define BPF_20 20\n',
                  '#define BPF_20 20\n#define BPF_MORE 1\n')
        self.edit('tools/include/uapi/linux/bpf.h', '#define BPF_20 20\n',
                  '#define BPF_20 20\n#define BPF_MORE 1\n')
        self.edit('io_uring/Kconfig', 'OURS', 'MINE')
        self.edit('io_uring/bpf.c', 'int bpf;', 'int more;')
        self.edit('MAINTAINERS', 'BPF PROGRAMS\nS:\tx', 'BPF PROGRAMS\nS:\ty')
        write(self.tree, {SELFTESTS + 'new.h': 'int n;\n'})
        os.unlink(os.path.join(self.tree, SELFTESTS + 'run.sh'))
        self.good('refresh.py')
        self.assertEqual(self.get('MAINTAINERS'),
                         'IO_URING BPF PROGRAMS\nS:\ty\n')
        self.assertEqual(self.get('io_uring/bpf.c'), 'int more;\n')
        self.assertEqual(self.get(SELFTESTS + 'new.h'), 'int n;\n')
        self.assertNotIn(SELFTESTS + 'run.sh', self.repo())
        self.assertIn('+config MINE', self.get('Kconfig.patch'))
        self.round_trip()
        repo = self.repo()
        self.good('tree.sh')
        self.good('refresh.py')
        self.assertEqual(self.repo(), repo)

    def test_last_section_gets_it(self):
        self.edit(CORE, 'return 2;', 'return 20;')
        self.good('refresh.py')
        one, two = self.get(CORE + '.patch').split('Series: two')
        self.assertEqual(one, REPO[CORE + '.patch'].split('Series: two')[0])
        self.assertIn('+\treturn 20;', two)
        self.round_trip()

    def test_last_section_must_not(self):
        self.edit(CORE, 'int x = 40;', 'int x = 41;')
        self.bad('refresh.py', says=CORE + ': the edit changes what section '
                                           '"one" adds')
        self.assertEqual(self.repo(), REPO)

    def test_into_first_section(self):
        self.edit(CORE, 'int x = 40;', 'int y = 1;\n\tint x = 41;')
        self.good('refresh.py', '--into', 'one', CORE)
        one, two = self.get(CORE + '.patch').split('Series: two')
        self.assertIn('+\tint x = 41;', one)
        self.assertIn('@@ -52,7 +52,7 @@', two)
        self.assertNotIn('41', two)
        self.round_trip()

    def test_into_conflict(self):
        self.edit(CORE, 'return 100;', 'return 101;')
        self.bad('refresh.py', '--into', 'one', CORE,
                 says=CORE + ': the edit does not fit section "one"')

    def test_into_new_section(self):
        self.edit(CORE, 'return 15;', 'return 150;')
        self.good('refresh.py', '--into', 'tests', CORE)
        self.assertTrue(self.get(CORE + '.patch').startswith(
            REPO[CORE + '.patch'] + 'Series: tests\n'))
        self.round_trip()

    def test_edit_taken_back(self):
        write(self.tree, {'io_uring/Kconfig': 'config IO_URING_BPF_OPS\n'
                                              '\tdef_bool y\n'})
        self.good('refresh.py')
        self.assertNotIn('Kconfig.patch', self.repo())
        self.round_trip()

    def test_series_claims(self):
        self.edit('kernel/other.c', 'return 3;', 'return 30;')
        write(self.tree, {'io_uring/new.c': 'int n;\n'})
        err = self.bad('refresh.py', says='io_uring/new.c: no patch')
        self.assertIn('error: kernel/other.c: no patch', err)
        self.assertEqual(self.repo(), REPO)
        self.bad('refresh.py', '--series', 'tow', says='no patch of the series')
        self.good('refresh.py', '--series', 'two')
        self.assertTrue(self.get('scripts/series/two.txt').endswith(
            '---\nio_uring/new.c\n'))
        self.assertTrue(self.get('kernel/other.c.patch').startswith(
            'Series: two\n'))
        self.round_trip()

    def test_build_products(self):
        write(self.tree, {'io_uring/bpf.o': 'x', 'io_uring/.bpf.o.cmd': 'x',
                          'io_uring/bpf.mod.c': 'x', 'include/linux/x.s': 'x',
                          'include/generated/x.h': 'x', 'vmlinux.h': 'x',
                          SELFTESTS + 'flow_test': 'x',
                          SELFTESTS + 'build/skel.h': 'x',
                          SELFTESTS + 'made.c': 'x'})
        self.assertIn('the repository has it all', self.good('refresh.py'))
        self.assertEqual(self.repo(), REPO)

    def test_both_changed(self):
        self.put('io_uring/bpf.c', 'int theirs;\n')
        self.edit('io_uring/bpf.c', 'int bpf;', 'int mine;')
        self.bad('refresh.py', says='io_uring/bpf.c: changed in the repository '
                                    'and in the work tree')
        self.assertEqual(self.get('io_uring/bpf.c'), 'int theirs;\n')
        self.good('refresh.py', '--force')
        self.assertEqual(self.get('io_uring/bpf.c'), 'int mine;\n')

    def test_repository_newer(self):
        self.put('io_uring/bpf.c', 'int theirs;\n')
        self.put(SELFTESTS + 'theirs.h', 'x\n')
        self.edit(CORE, 'return 15;', 'return 150;')
        self.good('refresh.py')
        self.assertEqual(self.get('io_uring/bpf.c'), 'int theirs;\n')
        self.assertEqual(self.get(SELFTESTS + 'theirs.h'), 'x\n')
        self.assertIn('150', self.get(CORE + '.patch'))

    def test_broken_patch(self):
        self.put('Kconfig.patch', REPO['Kconfig.patch'].replace('@@ -1,2',
                                                                '@@ -1,3'))
        self.bad('refresh.py', says='Kconfig.patch')
        self.good('refresh.py', '--force')
        self.assertEqual(self.get('Kconfig.patch'), REPO['Kconfig.patch'])

    def test_kernel_file_deleted(self):
        os.unlink(os.path.join(self.tree, 'kernel/other.c'))
        self.bad('refresh.py', says='kernel/other.c: a file of the kernel is '
                                    'deleted')

    def test_second_stanza(self):
        self.edit('MAINTAINERS', 'IPMI\n', 'IPMI\nS:\tme\n\nIPMJ\n')
        self.bad('refresh.py', says='MAINTAINERS: ')
        self.assertEqual(self.repo(), REPO)


class First(Case):
    """The work tree has edits, and never held the series."""

    def test_import(self):
        for rel in list(REPO):
            if 'core' in rel or 'bpf.c' in rel:
                os.unlink(os.path.join(self.top, rel))
        self.edit(CORE, 'return 15;', 'return 150;')
        write(self.tree, {'io_uring/bpf.c': 'int bpf;\n'})
        self.good('refresh.py', '--series', 'one')
        self.assertTrue(self.get(CORE + '.patch').startswith('Series: one\n'))
        # what the work tree never had is not deleted
        self.assertEqual(self.get('Kconfig.patch'), REPO['Kconfig.patch'])
        self.good('export.py', '--verify')
