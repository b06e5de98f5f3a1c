# SPDX-License-Identifier: GPL-2.0
"""scripts/bisect.sh builds and tests each prefix, and continues where it stopped.

The scripts that build, boot and test are stand-ins, which record their arguments.
"""
import os
import shutil
import subprocess

from fixture import ENV, SCRIPTS, Case, git, write

STUB = '''#!/bin/sh
line="${0##*/} $*"
echo "$IOU_BPF_TREE $(git -C "$IOU_BPF_CACHE/bisect" log -1 --format=%s): $line" >>"$FAKE/calls"
! echo "$line" | grep -qf "$FAKE/fail" || { echo it is broken; exit 1; }
case $line in
boot.sh*) [ -e "$FAKE/down" ] || touch "$OUT/up" ;;
selftests.sh*) mkdir -p "$OUT/kselftest"
	printf "io_uring_bpf:%s\\n" a_test b_test >"$OUT/kselftest/kselftest-list.txt" ;;
esac
'''
OFF = 'kernel.sh --config off W=1 KCFLAGS=-Werror io_uring/core.o'
KERNEL = 'kernel.sh --config on'
ON = KERNEL + ' W=1 KCFLAGS=-Werror io_uring/bpf.o io_uring/core.o'


class Bisect(Case):
    """A copy of the script, with stand-ins beside it."""

    def setUp(self):
        super().setUp()
        self.fake = os.path.join(self.tmp, 'fake')
        self.copy = os.path.join(self.tmp, 'copy')
        self.out = os.path.join(self.copy, 'build/bisect')
        scripts = os.path.join(self.copy, 'scripts')
        write(scripts, {name: STUB for name in (
            'kernel.sh', 'check.sh', 'splat.sh', 'boot.sh', 'selftests.sh')})
        self.breaks('nothing')
        for name in ('bisect.sh', 'lib.sh', 'vm.sh'):
            shutil.copy(os.path.join(SCRIPTS, name), scripts)
        self.good('export.py')

    def bisect(self, *args, rc=0, says=''):
        """Run the script. Return the recorded calls, without the name of the work
        tree."""
        write(self.fake, {'calls': ''})
        env = dict(ENV, IOU_BPF_CACHE=self.cache, FAKE=self.fake, OUT=self.out)
        p = subprocess.run([os.path.join(self.copy, 'scripts/bisect.sh'), *args], env=env,
                           text=True, capture_output=True)
        self.assertEqual(p.returncode, rc, p.stderr)
        self.assertIn(says, p.stderr.split('\n')[-2])
        calls = self.files(self.fake)['calls'].decode().splitlines()
        self.assertEqual([c for c in calls if not c.startswith('bisect ')], [])
        return [c[len('bisect '):] for c in calls]

    def breaks(self, pattern):
        write(self.fake, {'fail': pattern + '\n'})

    def expected(self, nr):
        """Return (calls that build, calls that test) for a patch."""
        name = ('io_uring: one', 'io_uring: two', 'selftests: tests')[nr - 1]
        build = ([OFF, KERNEL], [OFF, ON, KERNEL], [])[nr - 1]
        console = self.out + '/log/console1'
        test = ['boot.sh %s/disk.img %s 3600 -- touch /tmp/iou-bpf-build/up' %
                (self.out, console), 'splat.sh ' + console]
        if nr == 3:
            test = ['selftests.sh ', 'check.sh a_test b_test libbpf_str libbpf_probes']
        return [['%s: %s' % (name, c) for c in part] for part in (build, test)]

    def test_all(self):
        want = [c for nr in (1, 2, 3) for part in self.expected(nr) for c in part]
        last = 'is good, up to patch 3 of 3, selftests: tests'
        self.assertEqual(self.bisect(says=last), want)
        self.assertEqual(self.bisect(says=last), [])
        self.assertEqual(git(self.tree, 'status', '--porcelain'), '')
        self.assertEqual([line.split(None, 5) for line in self.table()],
                         [['1', '+13', '-1', 'good', '0', 'io_uring: one'],
                          ['2', '+7', '-1', 'good', '2', 'io_uring: two'],
                          ['3', '+0', '-0', 'good', '2', 'selftests: tests']])

    def table(self):
        return self.files(self.out)['table'].decode().splitlines()

    def test_build_only(self):
        self.assertEqual(self.bisect('--build-only', says='is built, up to'),
                         [c for nr in (1, 2, 3) for c in self.expected(nr)[0]])
        self.assertEqual(self.bisect('--build-only'), [])
        # the kernel is built again, but objects are not compiled again
        build, test = self.expected(1)
        self.assertEqual(self.bisect('..one', says='up to patch 1 of 3, io_uring: one'),
                         build[-1:] + test)
        self.assertEqual(self.bisect('--build-only'), [])

    def test_ranges(self):
        for arg, nr in (('two..', 1), ('tests..tests', 1), ('..one', 1), ('..', 2)):
            write(self.cache, {'bisect.good': ''})
            write(self.out, {'kernel': ''})
            calls = self.bisect('--build-only', arg)
            self.assertEqual(sum(c.endswith(KERNEL) for c in calls), nr)
        for args, says in ((['four..'], 'no patch of the series is called "four"'),
                           (['tests..one'], 'there is no patch from tests to one'),
                           (['one'], 'usage: '), (['--build'], 'usage: ')):
            self.bisect(*args, rc=1, says=says)
        git(self.tree, 'update-ref', '-d', 'refs/heads/series')
        self.bisect(rc=1, says='there is no series')

    def test_goes_on(self):
        """It continues after a failure, and with another last patch."""
        one, two, three = map(self.expected, (1, 2, 3))
        self.breaks('--config on W=1')
        self.assertEqual(
            self.bisect(rc=1, says='patch 2 of 3, io_uring: two, does not compile '
                                   'with the option on, see ' + self.out),
            sum(one, []) + two[0][:2])
        self.assertEqual([line.split()[3] for line in self.table()], ['good', '-', '-'])
        self.breaks('nothing')
        self.assertEqual(self.bisect('..two'), sum(two, []))
        rel = 'scripts/series/tests.txt'
        self.put(rel, self.get(rel).replace('Why', 'Y'))
        self.good('export.py')
        self.assertEqual(self.bisect(), sum(three, []))
        # a new commit message does not invalidate a result
        self.put(rel, self.get(rel).replace('Y', 'Why'))
        self.good('export.py')
        self.assertEqual(self.bisect(), [])

    def test_failures(self):
        one, three = 'patch 1 of 3, io_uring: one, ', 'patch 3 of 3, selftests: tests, '
        for pattern, says in (('config off', one + 'does not compile with the option off'),
                              ('^kernel.sh --config on$', one + 'does not build'),
                              ('^splat', one + 'does not boot'),
                              ('^check', three + 'fails its selftests'),
                              ('^selftests', three + 'fails its selftests')):
            self.breaks(pattern)
            self.bisect(rc=1, says=says)
        self.breaks('nothing')
        write(self.cache, {'bisect.good': ''})
        write(self.fake, {'down': ''})
        self.bisect(rc=1, says=one + 'does not boot')


# writes the given configuration without the option
MAKE = '''#!/bin/sh
for a; do
	case $a in
	O=*) out=${a#*=} ;;
	KCONFIG_ALLCONFIG=*) grep -v BPF_PROG "${a#*=}" >"$out/.config" ;;
	esac
done
echo "make $*" >>"$FAKE/calls"
'''


class OtherTree(Case):
    """Scripts that build and boot, with another work tree."""

    def shell(self, command, name):
        env = dict(ENV, IOU_BPF_CACHE=self.cache, IOU_BPF_TREE=name, S=self.scripts,
                   PATH=self.tmp + ':' + os.environ['PATH'], FAKE=self.tmp)
        return subprocess.run(['bash', '-c', command], env=env, text=True,
                              capture_output=True)

    def setUp(self):
        super().setUp()
        self.scripts = os.path.join(self.tmp, 'copy/scripts')
        shutil.copytree(SCRIPTS, self.scripts, ignore=shutil.ignore_patterns('tests'))
        shutil.copytree(self.tree, os.path.join(self.cache, 'other'))
        write(self.tmp, {'make': MAKE})
        os.chmod(os.path.join(self.tmp, 'make'), 0o755)

    def test_folders(self):
        show = '. $S/lib.sh; . $S/vm.sh; echo "$TREE $BUILD $IMAGE"'
        for name, tree, folder in (('', 'linux', ''), ('other', 'other', '/other')):
            self.assertEqual(self.shell(show, name).stdout.split(), [
                '%s/%s' % (self.cache, tree), '%s/copy/build%s' % (self.tmp, folder),
                '%s/build%s/debug/arch/x86/boot/bzImage' % (self.cache, folder)])

    def test_option(self):
        """The option may be missing only before the patch that adds it."""
        says = 'the kernel does not take CONFIG_IO_URING_BPF_PROG=y'
        for command in '$S/kernel.sh', '$S/kernel.sh --config on':
            self.assertIn(says, self.shell(command, '').stderr)
        self.assertEqual(0, self.shell('$S/kernel.sh --config off', '').returncode)
        p = self.shell('$S/kernel.sh W=1 x.o && tail -n 1 $FAKE/calls', 'other')
        self.assertRegex(p.stdout, '^make -C {0}/other O={0}/build/other/debug CC=.* '
                         'W=1 x.o\n$'.format(self.cache))
        write(os.path.join(self.cache, 'other'),
              {'io_uring/Kconfig': 'config IO_URING_BPF_PROG\n'})
        self.assertIn(says, self.shell('$S/kernel.sh', 'other').stderr)
