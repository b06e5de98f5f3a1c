# SPDX-License-Identifier: GPL-2.0
"""The stack of the work tree comes back to the repository."""
import os

from fixture import BPF, REPO, SELFTESTS, Case, git, write

CORE = 'io_uring/core.c'
SERIES = 'scripts/series/'
NEW = {'io_uring/new.c': 'int n;\n'}


class Refresh(Case):
    """The work tree holds the series, and gets edited."""

    def setUp(self):
        super().setUp()
        self.good('tree.sh')
        self.first = git(self.tree, 'rev-parse', 'series').strip()

    def commit(self, message, files=None):
        """A commit of all there is."""
        write(self.tree, files or {})
        git(self.tree, 'add', '-f', *(files or []))
        git(self.tree, 'commit', '-q', '-a', '-m', message)

    def rebase(self, *edits):
        """git rebase -i --autosquash, with these edits of what is to be done."""
        editor = 'sed -i ' + ' '.join("-e '%s'" % e for e in edits or ['s/^$//'])
        git(self.tree, '-c', 'sequence.editor=' + editor, 'rebase', '-q', '-i',
            '--autosquash', 'base')

    def subjects(self):
        return git(self.tree, 'log', '--format=%s', 'base..series').split('\n')[-2::-1]

    def repo(self):
        return {k: v.decode() for k, v in self.files(self.top).items()
                if not k.startswith('build/')}

    def round_trip(self):
        """What came back makes the trees that it came from, and stays."""
        head = git(self.tree, 'log', '--format=%T %s', 'base..HEAD')
        self.good('export.py', '--verify')
        self.assertEqual(git(self.tree, 'log', '--format=%T %s',
                             'base..series'), head)
        self.assertEqual(git(self.tree, 'status', '--porcelain'), '')
        repo = self.repo()
        self.assertNotIn('keep', self.good('tree.sh'))
        self.assertIn('the repository has it all', self.good('refresh.py'))
        self.assertEqual(self.repo(), repo)
        self.assertEqual(git(self.tree, 'for-each-ref', 'refs/saved'), '')

    def test_nothing(self):
        self.assertIn('the repository has it all', self.good('refresh.py'))
        self.assertEqual(self.repo(), REPO)
        self.round_trip()
        self.assertEqual(git(self.tree, 'rev-parse', 'series').strip(),
                         self.first)

    def test_new_commits(self):
        """Files that are new, edited, edited again, and gone; a copy; modes."""
        both = '#define BPF_20 20\n#define BPF_MORE 1\n'
        for folder in '', 'tools/':
            self.edit(folder + 'include/uapi/linux/bpf.h', '#define BPF_20 20\n',
                      both)
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
        self.assertEqual(self.get(SERIES + 'order'),
                         REPO[SERIES + 'order'] + 'the-3rd-and\nother\n')
        self.assertEqual(self.get(SERIES + 'the-3rd-and.txt'),
                         'io_uring: The 3rd, and last, patch\n\nWhy.\n---\n'
                         'io_uring/new.c\n')
        text = self.get(SERIES + 'the-3rd-and.diff')
        self.assertIn('-int two;\n+int three;\n', text)
        self.assertIn('\n--- a/tools/include/uapi/linux/bpf.h\n', text)
        self.assertIn('\nold mode 100755\nnew mode 100644\n', text)
        self.assertNotIn('\nindex ', text)
        self.assertEqual(self.get('MAINTAINERS'),
                         'IO_URING BPF PROGRAMS\nS:\ty\n')
        self.assertEqual(self.get('io_uring/new.c'), 'int n;\n')
        self.assertIn('+#define BPF_MORE', self.get(
            'include/uapi/linux/bpf.h.patch'))
        self.assertIn('+\treturn 30;', self.get('kernel/other.c.patch'))
        self.round_trip()

    def test_fixup(self):
        """An edit of the first patch moves lines of the second."""
        self.edit(CORE, 'int x = 40;', 'int y = 1;\n\tint x = 41;')
        self.edit('io_uring/bpf.c', 'int bpf7;', 'int more;')
        git(self.tree, 'commit', '-q', '-a', '--fixup', 'refs/patches/one')
        self.bad('refresh.py', says='commit ')
        self.assertEqual(self.repo(), REPO)
        self.rebase()
        self.good('refresh.py')
        self.assertEqual(self.subjects(), ['io_uring: one', 'io_uring: two',
                                           'selftests: tests'])
        self.assertIn('@@ -52,7 +52,7 @@', self.get(SERIES + 'two.diff'))
        self.assertIn(' int more;\n int bpf8;', self.get(SERIES + 'two.diff'))
        self.assertEqual(self.show('io_uring/bpf.c', 'refs/patches/one'),
                         BPF.replace('bpf7', 'more'))
        self.assertEqual(self.get(SERIES + 'order'), REPO[SERIES + 'order'])
        self.round_trip()

    def test_dropped_and_moved(self):
        """What is gone is deleted, and comments move with their patch."""
        self.rebase('/two/d', '1{h;d}', '3G')
        self.good('refresh.py')
        self.assertEqual(self.get(SERIES + 'order'),
                         '# of tests\ntests\n# a comment\none\n')
        self.assertEqual(set(REPO) - set(self.repo()),
                         {SERIES + 'two.txt', SERIES + 'two.diff',
                          'Kconfig.patch', 'io_uring/Makefile.patch'})
        self.round_trip()

    def test_first_to_touch(self):
        """Of two patches that change places the other one lists the file."""
        self.commit('io_uring: three\n\nWhy.', {'kernel/other.c': 'int x;\n'})
        self.commit('io_uring: four\n\nWhy.', {'kernel/other.c': 'int x;\n' * 9})
        self.good('refresh.py')
        self.assertIn('kernel/other.c', self.get(SERIES + 'three.txt'))
        self.assertTrue(self.get(SERIES + 'four.diff'))
        git(self.tree, 'reset', '-q', '--hard', 'HEAD~2')
        self.commit('io_uring: four\n\nWhy.', {'kernel/other.c': 'int x;\n' * 9})
        self.commit('io_uring: three\n\nWhy.', {'kernel/other.c': 'int x;\n'})
        self.good('refresh.py')
        self.assertIn('kernel/other.c', self.get(SERIES + 'four.txt'))
        self.assertNotIn(SERIES + 'four.diff', self.repo())
        self.round_trip()

    def test_file_of_the_kernel_deleted(self):
        os.unlink(os.path.join(self.tree, 'kernel/other.c'))
        self.commit('kernel: no other\n\nWhy.')
        self.good('refresh.py')
        self.assertIn('\ndeleted file', self.get('kernel/other.c.patch'))
        self.round_trip()

    def test_file_between(self):
        """A file that a later patch deletes is in no repository, but diffs."""
        self.commit('io_uring: three\n\nWhy.', NEW)
        os.unlink(os.path.join(self.tree, 'io_uring/new.c'))
        self.commit('io_uring: four\n\nWhy.')
        self.good('refresh.py')
        self.assertNotIn('io_uring/new.c', self.repo())
        self.round_trip()

    # names

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
        self.good('refresh.py')
        self.assertTrue(self.get(SERIES + 'order').endswith('two-2\ncover-2\n'))
        self.round_trip()

    def test_slug_bad(self):
        for line, says in (('Slug: A b', '"A b" is no name'),
                           ('Slug: cover', '"cover" is no name'),
                           ('Slug: a\nSlug: b', 'more than one line "Slug:"'),
                           ('Slug: two', 'it would be patch "two", as "io_uring'
                                         ': two" is')):
            git(self.tree, 'reset', '-q', '--hard', self.first)
            self.commit('io_uring: three\n\nWhy.\n\n' + line, NEW)
            self.assertIn('"io_uring: three": ' + says,
                          self.bad('refresh.py', says='commit '))
        git(self.tree, 'reset', '-q', '--hard', self.first)
        self.commit('io_uring: two\n\nWhy.', NEW)
        self.bad('refresh.py', says='commit ')
        self.assertEqual(self.repo(), REPO)

    # what cannot be carried

    def test_not_committed(self):
        self.edit(CORE, 'return 15;', 'return 150;')
        write(self.tree, {SELFTESTS + 'new.h': 'int n;\n'})
        os.unlink(os.path.join(self.tree, SELFTESTS + 'run.sh'))
        err = self.bad('refresh.py', says=CORE + ': not committed')
        self.assertIn('error: %snew.h: not committed' % SELFTESTS, err)
        self.assertIn('error: %srun.sh: not committed' % SELFTESTS, err)
        self.assertEqual(self.repo(), REPO)

    def test_build_products(self):
        write(self.tree, {'io_uring/bpf.o': 'x', 'io_uring/.bpf.o.cmd': 'x',
                          'io_uring/bpf.mod.c': 'x', 'include/linux/x.s': 'x',
                          'include/generated/x.h': 'x', 'vmlinux.h': 'x',
                          SELFTESTS + 'flow_test': 'x',
                          SELFTESTS + 'build/skel.h': 'x',
                          SELFTESTS + 'made.c': 'x'})
        self.assertIn('the repository has it all', self.good('refresh.py'))
        self.assertEqual(self.repo(), REPO)

    def test_bad_stacks(self):
        """A rebase under way, an empty commit, a merge, no base."""
        git(self.tree, 'checkout', '-q', '--detach', 'series~')
        self.bad('refresh.py', says='the work tree is on no branch')
        git(self.tree, 'checkout', '-q', 'series')
        git(self.tree, 'commit', '-q', '--allow-empty', '-m', 'none\n\nNone.')
        self.assertIn('"none": it changes nothing',
                      self.bad('refresh.py', says='commit '))
        git(self.tree, 'reset', '-q', '--hard', self.first)
        git(self.tree, 'checkout', '-q', '-b', 'side', 'series~')
        self.commit('three\n\nWhy.', NEW)
        git(self.tree, 'checkout', '-q', 'series')
        git(self.tree, 'merge', '-q', '-m', 'merge', 'side')
        self.bad('refresh.py', says='commit ')
        git(self.tree, 'checkout', '-q', '--orphan', 'other')
        self.commit('root\n\nWhy.')
        self.assertIn('the stack has to be linear, and begin at base',
                      self.bad('refresh.py', says='commit '))
        self.assertEqual(self.repo(), REPO)

    def test_cannot_hold(self):
        for path, says in (('scripts/x.c', 'scripts/x.c: the repository cannot'),
                           ('x.c/link', 'x.c/link: the repository cannot')):
            git(self.tree, 'reset', '-q', '--hard', self.first)
            write(self.tree, {path: 'x\n'})
            if 'link' in path:
                os.unlink(os.path.join(self.tree, path))
                os.symlink('x', os.path.join(self.tree, path))
            git(self.tree, 'add', '-f', path)
            git(self.tree, 'commit', '-q', '-m', 'three\n\nWhy.')
            self.bad('refresh.py', says=says)
        self.assertEqual(self.repo(), REPO)

    def test_copy(self):
        self.edit('include/uapi/linux/bpf.h', '20 20\n', '20 21\n')
        self.commit('uapi\n\nWhy.')
        self.bad('refresh.py', says='tools/include/uapi/linux/bpf.h: the '
                                    'repository would make another file')
        self.assertEqual(self.repo(), REPO)

    def test_second_stanza(self):
        self.edit('MAINTAINERS', 'IPMI\n', 'IPMI\nS:\tme\n\nIPMJ\n')
        self.commit('maintainers\n\nWhy.')
        self.bad('refresh.py', says='MAINTAINERS: ')
        self.assertEqual(self.repo(), REPO)

    def test_no_message(self):
        self.commit('three', NEW)
        self.bad('refresh.py', says='scripts/series/three.txt: no empty line')
        self.assertEqual(self.repo(), REPO)

    # the repository has changed as well

    def changed(self, rel, text, says):
        self.put(rel, text)
        repo = self.repo()
        self.commit('three\n\nWhy.', NEW)
        err = self.bad('refresh.py', says=says)
        self.assertEqual(self.repo(), repo)
        self.good('refresh.py', '--force')
        self.assertEqual(self.get(rel), REPO[rel])
        self.round_trip()
        return err

    def test_both_changed(self):
        rel = 'io_uring/bpf.c'
        err = self.changed(rel, 'int theirs;\n' + REPO[rel], rel + ': changed')
        self.assertIn('make tree', err)

    def test_message_changed(self):
        rel = SERIES + 'two.txt'
        self.changed(rel, REPO[rel].replace('Why', 'Y'),
                     'scripts/series: changed in the repository')

    def test_repository_broken(self):
        rel = 'Kconfig.patch'
        self.changed(rel, REPO[rel].replace('@@ -1,2', '@@ -1,3'), rel)

    def test_cover_stays(self):
        self.put(SERIES + 'cover.txt', 'c\n\nNew.\n')
        self.commit('three\n\nWhy.', NEW)
        self.good('refresh.py')
        self.assertEqual(self.get(SERIES + 'cover.txt'), 'c\n\nNew.\n')
        self.round_trip()

    def test_other_branch(self):
        """Its commits come back, and nothing of branch series gets lost."""
        git(self.tree, 'checkout', '-q', '-b', 'try')
        self.commit('three\n\nWhy.', NEW)
        self.good('refresh.py')
        self.assertEqual(self.subjects()[-1], 'three')
        self.round_trip()


class First(Case):
    """The work tree never held the series."""

    def test_no_stack(self):
        self.bad('refresh.py', says='there is no commit on base')

    def test_not_of_this_repository(self):
        write(self.tree, NEW)
        git(self.tree, 'add', '-f', *NEW)
        git(self.tree, 'commit', '-q', '-m', 'three\n\nWhy.')
        git(self.tree, 'branch', '-m', 'series')
        git(self.tree, 'branch', 'base', 'HEAD~')
        self.bad('refresh.py', says='scripts/series: changed in the repository')
        self.good('refresh.py', '--force')
        self.assertEqual(self.get(SERIES + 'order'), '# a comment\n'
                         '# of tests\nthree\n')
        self.good('export.py', '--verify')
