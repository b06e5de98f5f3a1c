# SPDX-License-Identifier: GPL-2.0
"""liburing.sh: selection of a version, without a network; contents of the patches."""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from fixture import ENV, SCRIPTS, TOP, write

# a file with the name of a suite has its newest version; no file, no suite
APT_GET = '''#!/bin/sh
for a; do
	case $a in
	Dir::State::lists=*) lists=${a#*=} ;;
	Dir::Etc::sourcelist=*) list=${a#*=} ;;
	esac
done
suite=$(sed 's/.* \\([a-z]*\\) main/\\1/' "$list")
case " $* " in
*" update "*)
	[ -e "$FAKE/$suite" ] || { echo "E: no route to $suite"; exit 100; }
	cp "$FAKE/$suite" "$lists/x_Sources"
	;;
*" source "*)
	echo liburing >liburing_1.orig.tar.gz.asc
	cp "$FAKE/tar" liburing_1.orig.tar.gz
	;;
esac
'''
APT_CACHE = '''#!/bin/sh
for a; do
	case $a in Dir::State::lists=*) lists=${a#*=} ;; esac
done
sed 's/^/liburing | /; s/$/ | x/' "$lists/x_Sources"
'''


def sha256(text):
    """Return the checksum of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class Fetch(unittest.TestCase):
    """Version 1-1 is pinned, in the suites new and old."""

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix='iou-bpf-test.')
        self.addCleanup(shutil.rmtree, self.tmp, True)
        self.fake = os.path.join(self.tmp, 'fake')
        write(self.fake, {'apt-get': APT_GET, 'apt-cache': APT_CACHE, 'tar': 'good'})
        for name in 'apt-get', 'apt-cache':
            os.chmod(os.path.join(self.fake, name), 0o755)
        write(self.tmp, {'base.env': "LIBURING_VERSIONS='\nnew\t1-1\t%s\nold\t1-1\t%s\n'\n"
                         % ((sha256('good'),) * 2)})

    def fetch(self, status=0):
        """Run liburing.sh. Return its output."""
        env = dict(ENV, IOU_BPF_CACHE=self.tmp + '/cache', FAKE=self.fake,
                   IOU_BPF_TREE='test-liburing', IOU_BPF_MIRROR='http://mirror.invalid',
                   IOU_BPF_BASE_ENV=self.tmp + '/base.env',
                   PATH=self.fake + ':' + os.environ['PATH'])
        self.addCleanup(shutil.rmtree, os.path.join(TOP, 'build/test-liburing'), True)
        r = subprocess.run([os.path.join(SCRIPTS, 'liburing.sh'), 'fetch'], env=env,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(r.returncode, status, r.stdout.decode())
        return r.stdout.decode()

    def got(self):
        """Return the contents of the downloaded file."""
        with open(self.tmp + '/cache/liburing.tar.gz', encoding='utf-8') as f:
            return f.read()

    def test_pinned(self):
        write(self.fake, {'new': '1-1\n'})
        self.assertNotIn('WARNING', self.fetch())
        self.assertEqual(self.got(), 'good')

    def test_cached(self):
        write(self.tmp, {'cache/liburing.tar.gz': 'good'})
        self.assertEqual(self.fetch(), '')

    def test_second_suite(self):
        write(self.fake, {'old': '1-1\n'})
        self.assertIn('from old', self.fetch())

    def test_pinned_in_second_suite(self):
        """The pinned version of the second suite precedes a newer one of the first."""
        write(self.fake, {'new': '2-1\n', 'old': '1-1\n', 'tar': 'good'})
        self.assertNotIn('WARNING', self.fetch())
        self.assertEqual(self.got(), 'good')

    def test_newer(self):
        write(self.fake, {'new': '2-1\n', 'tar': 'newer'})
        self.assertIn('WARNING: new has liburing 2-1 now', self.fetch())
        self.assertEqual(self.got(), 'newer')

    def test_checksum(self):
        write(self.fake, {'new': '1-1\n', 'old': '1-1\n', 'tar': 'bad'})
        self.assertIn('not tested: liburing 1-1 has the wrong checksum', self.fetch(77))

    def test_offline(self):
        self.assertIn('not tested: cannot read the package lists of old: E: no route',
                      self.fetch(77))


# stands in for a guest: each line of $FAKE/MODE is a test with the status of each try, or 0
BOOT_ALL = '''#!/bin/bash
mode=${*: -1} results=${*: -3:1}
results=${results/GUEST/$(dirname "$0")/../build}
echo "selftest: running end" >"$2"
while read -r name; do
	tries=$(grep -c "^$name$" "$FAKE/tries-$mode" 2>/dev/null)
	echo "$name" >>"$FAKE/tries-$mode"
	read -r -a statuses < <(grep "^$name " "$FAKE/$mode")
	echo "$name ${statuses[${tries:-0} + 1]:-0} 1" >>"$results/tests"
done <"$results/todo"
cp "$FAKE/watched" "$results/watch"
'''


class All(unittest.TestCase):
    """liburing-all.sh runs again what has failed."""

    def setUp(self):
        self.top = tempfile.mkdtemp(prefix='iou-bpf-test.')
        self.addCleanup(shutil.rmtree, self.top, True)
        for name in ('liburing-all.sh', 'liburinglib.sh', 'lib.sh', 'splat.sh', 'splat.allow',
                     'splat.deny', 'vm.sh'):
            os.makedirs(self.top + '/scripts', exist_ok=True)
            shutil.copy(os.path.join(SCRIPTS, name), self.top + '/scripts')
        with open(self.top + '/scripts/vm.sh', 'a', encoding='utf-8') as f:
            f.write('vm_guests() { echo 2; }\nGUEST_BUILD=GUEST\n')
        write(self.top, {'scripts/liburing.sh': '#!/bin/sh\n', 'scripts/boot.sh': BOOT_ALL,
                         'liburing/test/fails': '# none\nk.t known\n', 'build/log/x': ''})

    def run_all(self, plain, watch, watched='      7 attached\nrun_cnt 9\n'):
        """Run tests with such results. Return the exit status and the output."""
        write(self.top, {'plain': plain, 'watch': watch, 'watched': watched})
        write(self.top, {'build/liburing-all/tests/' + line.split()[0]: ''
                         for line in watch.splitlines()})
        r = subprocess.run([self.top + '/scripts/liburing-all.sh'], text=True, check=False,
                           env=dict(ENV, IOU_BPF_CACHE=self.top + '/cache', FAKE=self.top),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return r.returncode, r.stdout, r.stderr

    def tries(self, mode, name):
        with open('%s/tries-%s' % (self.top, mode), encoding='utf-8') as f:
            return f.read().split().count(name)

    def test_passes_later(self):
        rc, out, err = self.run_all('a.t\nb.t 1\nc.tt 0\nk.t 0\n',
                                    'a.t\nb.t 0\nc.tt 1 1 0\nk.t 1\n')
        self.assertIn('3 passed, 0 failed, 1 skipped', out, err)
        self.assertEqual(rc, 0)
        self.assertEqual([self.tries('watch', t) for t in ('a.t', 'b.t', 'c.tt', 'k.t')],
                         [1, 2, 3, 1])

    def test_fails(self):
        rc, out, err = self.run_all('a.t\nb.tt\n', 'a.t\nb.tt 1 1 1\n')
        self.assertIn('1 passed, 1 failed, 0 skipped', out, err)
        self.assertEqual(rc, 1)
        for mode in 'plain', 'watch':
            self.assertEqual([self.tries(mode, t) for t in ('a.t', 'b.tt')], [1, 3])

    def test_nothing_watched(self):
        """No ring had the program, or the program has never run."""
        for watched in '      7 EPERM\nrun_cnt 9\n', '      7 attached\nrun_cnt 0\n':
            rc, _, err = self.run_all('a.t\n', 'a.t\n', watched)
            self.assertEqual(rc, 1)
            self.assertIn('no program has run', err)
            shutil.rmtree(self.top + '/build/liburing-all')


class Patches(unittest.TestCase):
    """The files in liburing/."""

    def test_header(self):
        """The header is a copy of the kernel's, with the same additions."""
        with open(glob.glob(TOP + '/liburing/0002-*.patch')[0], encoding='utf-8') as f:
            sync = set(re.findall(r'^\+(?!\+)(.*)$', f.read(), re.M))
        for name in 'io_uring.h', 'io_uring/query.h':
            with open('%s/include/uapi/linux/%s.patch' % (TOP, name), encoding='utf-8') as f:
                added = set(re.findall(r'^\+(?!\+)(.*)$', f.read(), re.M))
            self.assertEqual(added - sync, set(), name)

    def test_messages(self):
        """CONTRIBUTING.md of liburing asks for 72 to 74 columns."""
        for name in glob.glob(TOP + '/liburing/0*.patch'):
            with open(name, encoding='utf-8') as f:
                message = f.read().split('\n---\n')[0]
            self.assertLessEqual(max(len(l) for l in message.splitlines()), 72, name)
