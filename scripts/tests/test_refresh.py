# SPDX-License-Identifier: GPL-2.0
"""refresh.py carries the stack of the work tree back to the repository."""
import os

from fixture import BPF, REPO, SELFTESTS, Case, git, write

CORE = 'io_uring/core.c'
SERIES = 'scripts/series/'
NEW = {'io_uring/new.c': 'int n;\n'}


class Refresh(Case):
    """The work tree holds the series, and gets edited."""

    def setUp(self):
        super().setUp()
        self.good('tree.py')
        self.first = git(self.tree, 'rev-parse', 'series').strip()

    def commit(self, message, files=None):
        """Commit all files."""
        write(self.tree, files or {})
        git(self.tree, 'add', '-f', *(files or []))
        git(self.tree, 'commit', '-q', '-a', '-m', message)

    def rebase(self, *edits):
        """Run git rebase -i --autosquash, with these edits of the todo list."""
        editor = 'sed -i ' + ' '.join("-e '%s'" % e for e in edits)
        git(self.tree, '-c', 'sequence.editor=' + editor, 'rebase', '-q', '-i',
            '--autosquash', 'base')

    def repo(self):
        return {k: v.decode() for k, v in self.files(self.top).items()
                if not k.startswith('build/')}

    def round_trip(self):
        """Check that the repository makes the same trees, and refresh.py no changes."""
        head = git(self.tree, 'log', '--format=%T %s', 'base..HEAD')
        self.good('export.py', '--verify')
        self.assertEqual(git(self.tree, 'log', '--format=%T %s', 'base..series'), head)
        self.assertEqual(git(self.tree, 'status', '--porcelain'), '')
        repo = self.repo()
        self.assertNotIn('keep', self.good('tree.py'))
        self.assertIn('the repository is up to date', self.good('refresh.py'))
        self.assertEqual(self.repo(), repo)
        self.assertEqual(git(self.tree, 'for-each-ref', 'refs/saved'), '')

    def test_nothing(self):
        self.assertIn('the repository is up to date', self.good('refresh.py'))
        self.assertEqual(self.repo(), REPO)
        self.round_trip()
        self.assertEqual(git(self.tree, 'rev-parse', 'series').strip(), self.first)

    def test_new_commits(self):
        """Files that are new, edited, edited again, and deleted; a copy; modes."""
        for folder in '', 'tools/':
            self.edit(folder + 'include/uapi/linux/bpf.h', '#define BPF_20 20\n',
                      '#define BPF_20 20\n#define BPF_MORE 1\n')
        self.edit('MAINTAINERS', 'BPF PROGRAMS\nS:\tx', 'BPF PROGRAMS\nS:\ty')
        self.edit('io_uring/bpf.c', 'int two;', 'int three;')
        os.unlink(os.path.join(self.tree, SELFTESTS + 'Makefile'))
        os.chmod(os.path.join(self.tree, SELFTESTS + 'run.sh'), 0o644)
        self.commit('io_uring: The 3rd, and last, patch\n\nWhy.', NEW)
        self.edit('kernel/other.c', 'return 3;', 'return 30;')
        self.commit('io_uring: the 3rd and last: other\n\nWhy.')
        err = self.good('refresh.py')
        self.assertIn('wrote scripts/series/the-3rd-and.diff', err)
        self.assertIn('deleted %sMakefile' % SELFTESTS, err)
        text = self.get(SERIES + 'the-3rd-and.diff')
        self.assertNotIn('\nindex ', text)
        for part in ('-int two;\n+int three;\n', 'old mode 100755\nnew mode 100644\n',
                     '--- a/tools/include/uapi/linux/bpf.h\n'):
            self.assertIn('\n' + part, text)
        for rel, want in (
                (SERIES + 'order', REPO[SERIES + 'order'] + 'the-3rd-and\nother\n'),
                (SERIES + 'the-3rd-and.txt', 'io_uring: The 3rd, and last, patch\n\n'
                 'Why.\n---\nio_uring/new.c\n'),
                ('MAINTAINERS', 'IO_URING BPF PROGRAMS\nS:\ty\n'),
                ('io_uring/new.c', NEW['io_uring/new.c'])):
            self.assertEqual(self.get(rel), want)
        self.assertIn('+#define BPF_MORE', self.get('include/uapi/linux/bpf.h.patch'))
        self.assertIn('+\treturn 30;', self.get('kernel/other.c.patch'))
        self.round_trip()

    def test_fixup(self):
        """An edit of the first patch moves lines of the second."""
        self.edit(CORE, 'int x = 40;', 'int y = 1;\n\tint x = 41;')
        self.edit('io_uring/bpf.c', 'int bpf7;', 'int more;')
        git(self.tree, 'commit', '-q', '-a', '--fixup', 'refs/patches/one')
        self.bad('refresh.py', says='commit ')
        self.assertEqual(self.repo(), REPO)
        self.rebase('s/^$//')
        self.good('refresh.py')
        self.assertEqual(git(self.tree, 'log', '--format=%s', 'base..series'),
                         'selftests: tests\nio_uring: two\nio_uring: one\n')
        self.assertIn('@@ -52,7 +52,7 @@', self.get(SERIES + 'two.diff'))
        self.assertIn(' int more;\n int bpf8;', self.get(SERIES + 'two.diff'))
        self.assertEqual(self.show('io_uring/bpf.c', 'refs/patches/one'),
                         BPF.replace('bpf7', 'more'))
        self.assertEqual(self.get(SERIES + 'order'), REPO[SERIES + 'order'])
        self.round_trip()

    def test_dropped_and_moved(self):
        """Files of dropped patches are deleted, and comments move with their patch."""
        self.rebase('/two/d', '1{h;d}', '3G')
        self.good('refresh.py')
        self.assertEqual(self.get(SERIES + 'order'),
                         '# of tests\ntests\n# a comment\none\n')
        self.assertEqual(set(REPO) - set(self.repo()), {
            SERIES + 'two.txt', SERIES + 'two.diff', 'Kconfig.patch',
            'io_uring/Makefile.patch'})
        self.round_trip()

    def test_first_to_touch(self):
        """If two patches swap places, the other one lists the file."""
        texts = {'three': 'int x;\n', 'four': 'int x;\n' * 9}
        for first, second in ('three', 'four'), ('four', 'three'):
            git(self.tree, 'reset', '-q', '--hard', self.first)
            for name in first, second:
                self.commit(name + '\n\nWhy.', {'kernel/other.c': texts[name]})
            self.good('refresh.py')
            self.assertIn('kernel/other.c', self.get(SERIES + first + '.txt'))
            self.assertTrue(self.get(SERIES + second + '.diff'))
            self.assertNotIn(SERIES + first + '.diff', self.repo())
        self.round_trip()

    def test_deleted(self):
        """Deletes a file of the kernel, and one that exists only in diffs."""
        self.commit('io_uring: three\n\nWhy.', NEW)
        os.unlink(os.path.join(self.tree, 'io_uring/new.c'))
        os.unlink(os.path.join(self.tree, 'kernel/other.c'))
        self.commit('io_uring: four\n\nWhy.')
        self.good('refresh.py')
        self.assertNotIn('io_uring/new.c', self.repo())
        self.assertIn('\ndeleted file', self.get('kernel/other.c.patch'))
        self.round_trip()

    def test_slug(self):
        self.commit('io_uring: three\n\nWhy.\n\nSlug: third\nCc: x', NEW)
        self.good('refresh.py')
        self.assertEqual(self.get(SERIES + 'third.txt'), 'io_uring: three\n\n'
                         'Why.\n\nCc: x\n---\nio_uring/new.c\n')
        self.round_trip()
        git(self.tree, 'commit', '-q', '--amend', '-m', 'io_uring: 3\n\nWhy.')
        self.good('refresh.py')
        self.assertNotIn(SERIES + 'third.txt', self.repo())
        self.assertTrue(self.get(SERIES + '3.txt'))
        self.round_trip()

    def test_slug_derived(self):
        self.commit('io_uring: two: two\n\nWhy.', NEW)
        self.edit(CORE, 'return 15;', 'return 150;')
        self.commit('cover\n\nWhy.')
        self.put(SERIES + 'cover.txt', 'cover\n\nNot of a patch.\n')
        self.good('refresh.py')
        self.assertTrue(self.get(SERIES + 'order').endswith('two-2\ncover-2\n'))
        self.round_trip()

    # stacks that are refused

    def refuses(self, says):
        """Check that nothing is written."""
        err = self.bad('refresh.py', says=says)
        self.assertEqual(self.repo(), REPO)
        git(self.tree, 'reset', '-q', '--hard', self.first)
        return err

    def test_slug_bad(self):
        for line, says in (('Slug: A b', '"A b" is not a valid slug'),
                           ('Slug: cover', '"cover" is not a valid slug'),
                           ('Slug: a\nSlug: b', 'more than one line "Slug:"'),
                           ('Slug: two', 'slug "two" is already taken by "io_uring: t')):
            self.commit('io_uring: three\n\nWhy.\n\n' + line, NEW)
            self.assertIn('"io_uring: three": ' + says, self.refuses('commit '))
        self.commit('io_uring: two\n\nWhy.', NEW)
        self.refuses('commit ')
        self.commit('three', NEW)
        self.refuses('scripts/series/three.txt: no empty line')

    def test_not_committed(self):
        self.edit(CORE, 'return 15;', 'return 150;')
        write(self.tree, {SELFTESTS + 'new.h': 'int n;\n'})
        os.unlink(os.path.join(self.tree, SELFTESTS + 'run.sh'))
        err = self.refuses(CORE + ': not committed')
        self.assertIn('error: %snew.h: not committed' % SELFTESTS, err)
        self.assertIn('error: %srun.sh: not committed' % SELFTESTS, err)

    def test_build_products(self):
        write(self.tree, {rel: 'x' for rel in (
            'io_uring/bpf.o', 'io_uring/.bpf.o.cmd', 'io_uring/bpf.mod.c',
            'include/linux/x.s', 'include/generated/x.h', 'vmlinux.h',
            SELFTESTS + 'flow_test', SELFTESTS + 'build/skel.h', SELFTESTS + 'made.c')})
        self.assertIn('the repository is up to date', self.good('refresh.py'))
        self.assertEqual(self.repo(), REPO)

    def test_bad_stacks(self):
        """A rebase under way, an empty commit, a merge, no base."""
        git(self.tree, 'checkout', '-q', '--detach', 'series~')
        self.bad('refresh.py', says='the work tree is on no branch')
        git(self.tree, 'checkout', '-q', 'series')
        git(self.tree, 'commit', '-q', '--allow-empty', '-m', 'none\n\nNone.')
        self.assertIn('"none": the commit is empty', self.refuses('commit '))
        git(self.tree, 'checkout', '-q', '-b', 'side', 'series~')
        self.commit('three\n\nWhy.', NEW)
        git(self.tree, 'checkout', '-q', 'series')
        git(self.tree, 'merge', '-q', '-m', 'merge', 'side')
        self.assertIn('the stack must be linear', self.refuses('commit '))
        git(self.tree, 'checkout', '-q', '--orphan', 'other')
        self.commit('root\n\nWhy.')
        self.assertIn('and begin at base', self.refuses('commit '))

    def test_cannot_hold(self):
        """A script, a link, a copy that differs, a second stanza."""
        self.commit('three\n\nWhy.', {'scripts/x.c': 'x\n'})
        self.refuses('scripts/x.c: the repository cannot hold it')
        os.symlink('x', os.path.join(self.tree, 'link'))
        git(self.tree, 'add', '-f', 'link')
        self.commit('three\n\nWhy.')
        self.refuses('link: the repository cannot hold it')
        self.edit('include/uapi/linux/bpf.h', '20 20\n', '20 21\n')
        self.commit('uapi\n\nWhy.')
        self.refuses('tools/include/uapi/linux/bpf.h: the repository would make '
                     'another file')
        self.edit('MAINTAINERS', 'IPMI\n', 'IPMI\nS:\tme\n\nIPMJ\n')
        self.commit('maintainers\n\nWhy.')
        self.refuses('MAINTAINERS: ')

    def test_repository_changed(self):
        """Both the repository and the work tree changed: a file, a message, an
        error."""
        two = SERIES + 'two.txt'
        for rel, text, says in (('io_uring/bpf.c', 'int theirs;\n' + REPO['io_uring/bpf.c'],
                 'io_uring/bpf.c: changed in the repository since'),
                (two, REPO[two].replace('Why', 'Y'), 'scripts/series: changed in'),
                ('Kconfig.patch', REPO['Kconfig.patch'].replace('+', '-', 2),
                 'Kconfig.patch: ')):
            git(self.tree, 'reset', '-q', '--hard', self.first)
            self.good('refresh.py', '--force')
            self.put(rel, text)
            repo = self.repo()
            self.commit('three\n\nWhy.', NEW)
            self.bad('refresh.py', says=says)
            self.assertEqual(self.repo(), repo)
            self.good('refresh.py', '--force')
            self.assertEqual(self.get(rel), REPO[rel])
            self.round_trip()

    def test_other_branch(self):
        """The commits of another branch are taken, and the cover letter does not
        change."""
        self.put(SERIES + 'cover.txt', 'c\n\nNew.\n')
        git(self.tree, 'checkout', '-q', '-b', 'try')
        self.commit('three\n\nWhy.', NEW)
        self.good('refresh.py')
        self.assertEqual(self.get(SERIES + 'cover.txt'), 'c\n\nNew.\n')
        self.assertEqual(git(self.tree, 'log', '-1', '--format=%s', 'series'), 'three\n')
        self.round_trip()


class First(Case):
    """The work tree never held the series."""

    def test_not_of_this_repository(self):
        self.bad('refresh.py', says='there is no commit on base')
        write(self.tree, NEW)
        git(self.tree, 'checkout', '-q', '-b', 'series')
        git(self.tree, 'add', '-f', *NEW)
        git(self.tree, 'commit', '-q', '-m', 'three\n\nWhy.')
        self.bad('refresh.py', says='scripts/series: changed in the repository')
        self.good('refresh.py', '--force')
        self.assertEqual(self.get(SERIES + 'order'), '# a comment\n# of tests\nthree\n')
        self.good('export.py', '--verify')
