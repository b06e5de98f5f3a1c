# SPDX-License-Identifier: GPL-2.0
"""scripts/bisect.sh builds and tests each prefix, and goes on where it stopped.

What builds, boots and tests are stand-ins, which note how they are called.
"""
import os
import shutil
import subprocess

from fixture import ENV, SCRIPTS, Case, git, write

STUB = '''#!/bin/sh
line="${0##*/} $*"
echo "$IOU_BPF_TREE $(git -C "$IOU_BPF_CACHE/bisect" log -1 --format=%s): $line" >>"$FAKE/calls"
[ ! -e "$FAKE/fail" ] || ! echo "$line" | grep -qf "$FAKE/fail" || { echo it is broken; exit 1; }
'''
# a guest comes up unless it is told not to
BOOT = STUB + '[ -e "$FAKE/down" ] || touch "$OUT/up"\n'
SELFTESTS = STUB + 'mkdir -p "$OUT/kselftest"\n' \
    'printf "io_uring_bpf:%s\\n" a_test b_test >"$OUT/kselftest/kselftest-list.txt"\n'
OFF = 'kernel.sh --config off W=1 KCFLAGS=-Werror io_uring/core.o'
ON = 'kernel.sh --config on W=1 KCFLAGS=-Werror io_uring/bpf.o io_uring/core.o'


class Bisect(Case):
    """A copy of the script, with stand-ins beside it."""

    def setUp(self):
        super().setUp()
        self.fake = os.path.join(self.tmp, 'fake')
        self.copy = os.path.join(self.tmp, 'copy')
        self.out = os.path.join(self.copy, 'build/bisect')
        scripts = os.path.join(self.copy, 'scripts')
        write(scripts, {'kernel.sh': STUB, 'check.sh': STUB, 'splat.sh': STUB,
                        'boot.sh': BOOT, 'selftests.sh': SELFTESTS})
        write(self.fake, {'calls': ''})
        for name in ('bisect.sh', 'lib.sh', 'vm.sh'):
            shutil.copy(os.path.join(SCRIPTS, name), scripts)
        self.good('export.py')

    def bisect(self, *args, rc=0, says=''):
        """Runs it. Returns what was called, without the work tree's name."""
        write(self.fake, {'calls': ''})
        env = dict(ENV, IOU_BPF_CACHE=self.cache, FAKE=self.fake, OUT=self.out)
        p = subprocess.run([os.path.join(self.copy, 'scripts/bisect.sh')] +
                           list(args), env=env, text=True, capture_output=True)
        self.assertEqual(p.returncode, rc, p.stderr)
        self.assertIn(says, p.stderr.split('\n')[-2])
        calls = self.files(self.fake)['calls'].decode().splitlines()
        self.assertEqual([c for c in calls if not c.startswith('bisect ')], [])
        return [c.split(' ', 1)[1].replace(': boot.sh %s/disk.img %s/log/console1 '
                                           % (self.out, self.out), ': boot.sh ')
                for c in calls]

    def fail(self, pattern):
        write(self.fake, {'fail': pattern + '\n'})

    ONE = ['io_uring: one: ' + c for c in (OFF, 'kernel.sh ')]
    TWO = ['io_uring: two: ' + c for c in (OFF, ON, 'kernel.sh ')]
    THREE = ['selftests: tests: ' + c for c in (OFF, ON, 'kernel.sh ')]
    BOOTED = ['boot.sh 3600 -- touch /tmp/iou-bpf-build/up',
              'splat.sh %s/log/console1']

    def booted(self, name):
        return ['%s: %s' % (name, c.replace('%s', self.out)) for c in self.BOOTED]

    def with_tests(self, name):
        return ['%s: %s' % (name, c) for c in (
            'selftests.sh ', 'check.sh a_test b_test libbpf_str libbpf_probes')]

    def test_all(self):
        self.assertEqual(
            self.bisect(says='patches 1 to 3 are good'),
            self.ONE + self.booted('io_uring: one') +
            self.TWO + self.booted('io_uring: two') +
            self.THREE + self.with_tests('selftests: tests'))
        self.assertEqual(self.bisect(says='patches 1 to 3 are good'), [])
        self.assertEqual(git(self.tree, 'status', '--porcelain'), '')

    def test_build_only(self):
        self.assertEqual(self.bisect('--build-only', says='1 to 3 are built'),
                         self.ONE + self.TWO + self.THREE)
        self.assertEqual(self.bisect('--build-only', says='are built'), [])
        # then the kernel is made again, but what compiled once does
        self.assertEqual(self.bisect('1..1', says='patches 1 to 1 are good'),
                         self.ONE[-1:] + self.booted('io_uring: one'))
        self.assertEqual(self.bisect('--build-only', says='are built'), [])

    def test_ranges(self):
        for arg, nr in (('two..', 2), ('3..tests', 1), ('..one', 1), ('..', 3)):
            write(self.cache, {'bisect.good': ''})
            calls = self.bisect('--build-only', arg, says='are built')
            self.assertEqual(sum(c.endswith('kernel.sh ') for c in calls), nr)
        self.bisect('four..', rc=1, says='no patch of the series is called "four"')
        self.bisect('..0', rc=1, says='no patch of the series is called "0"')
        self.bisect('tests..one', rc=1, says='patch 3 is not before patch 1')
        self.bisect('one', rc=1, says='usage: ')
        self.bisect('--build', rc=1, says='usage: ')

    def test_goes_on(self):
        """After a failure, and with another last patch."""
        self.fail('--config on')
        self.assertEqual(
            self.bisect(rc=1, says='patch 2 of 3 (two) does not compile with '
                                   'the option on, see ' + self.out),
            self.ONE + self.booted('io_uring: one') + self.TWO[:2])
        os.unlink(os.path.join(self.fake, 'fail'))
        self.assertEqual(self.bisect('..two', says='patches 1 to 2 are good'),
                         self.TWO + self.booted('io_uring: two'))
        rel = 'scripts/series/tests.txt'
        self.put(rel, self.get(rel).replace('Why', 'Y'))
        self.good('export.py')
        self.assertEqual(self.bisect(says='patches 1 to 3 are good'),
                         self.THREE + self.with_tests('selftests: tests'))

    def test_failures(self):
        for pattern, says in (('config off', 'patch 1 of 3 (one) does not compile '
                                             'with the option off'),
                              ('^kernel.sh $', 'patch 1 of 3 (one) does not build'),
                              ('^splat', 'patch 1 of 3 (one) does not boot'),
                              ('^check', 'patch 3 of 3 (tests) fails its selftests'),
                              ('^selftests', 'patch 3 of 3 (tests) fails its')):
            self.fail(pattern)
            self.bisect(rc=1, says=says)
        self.fail('nothing')
        os.unlink(os.path.join(self.cache, 'bisect.good'))
        write(self.fake, {'down': ''})
        self.bisect(rc=1, says='patch 1 of 3 (one) does not boot')

    def test_no_series(self):
        git(self.tree, 'update-ref', '-d', 'refs/heads/series')
        self.bisect(rc=1, says='there is no series')


# makes the configuration that it is given, without the option that is missing
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
    """Scripts that build and boot, told of another work tree."""

    def shell(self, command, name):
        fake = os.path.join(self.tmp, 'fake')
        write(fake, {'make': MAKE, 'calls': ''})
        os.chmod(os.path.join(fake, 'make'), 0o755)
        env = dict(ENV, IOU_BPF_CACHE=self.cache, FAKE=fake, IOU_BPF_TREE=name,
                   PATH=fake + ':' + os.environ['PATH'], S=self.scripts)
        return subprocess.run(['bash', '-c', command], env=env, text=True,
                              capture_output=True)

    def setUp(self):
        super().setUp()
        self.scripts = os.path.join(self.tmp, 'copy/scripts')
        shutil.copytree(SCRIPTS, self.scripts, ignore=shutil.ignore_patterns(
            'tests', '__pycache__'))
        shutil.copytree(self.tree, os.path.join(self.cache, 'other'))

    def test_folders(self):
        show = '. $S/lib.sh; . $S/vm.sh; echo "$TREE $BUILD $IMAGE"'
        for name, tree, folder in (('', 'linux', ''), ('other', 'other', '/other')):
            self.assertEqual(self.shell(show, name).stdout.split(), [
                '%s/%s' % (self.cache, tree), '%s/copy/build%s' % (self.tmp, folder),
                '%s/build%s/debug/arch/x86/boot/bzImage' % (self.cache, folder)])

    def test_option(self):
        """It may be missing where the series has not come to it only."""
        says = 'the kernel does not take CONFIG_IO_URING_BPF_PROG=y'
        self.assertIn(says, self.shell('$S/kernel.sh', '').stderr)
        p = self.shell('$S/kernel.sh W=1 x.o && cat "$FAKE/calls"', 'other')
        self.assertEqual(0, p.returncode, p.stderr)
        self.assertIn('make -C %s/other O=%s/build/other/debug CC=' % (
            self.cache, self.cache), p.stdout)
        self.assertIn(' W=1 x.o\n', p.stdout)
        self.assertEqual(0, self.shell('$S/kernel.sh --config off', '').returncode)
        self.assertIn(says, self.shell('$S/kernel.sh --config on', '').stderr)
        write(os.path.join(self.cache, 'other'),
              {'io_uring/Kconfig': 'config IO_URING_BPF_PROG\n'})
        self.assertIn(says, self.shell('$S/kernel.sh', 'other').stderr)
