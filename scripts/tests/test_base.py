# SPDX-License-Identifier: GPL-2.0
"""base.sh: downloading and importing the kernel, without a network.

apt-get and apt-cache are stand-ins that serve a tiny package, or fail.
"""
import atexit
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from fixture import ENV, SCRIPTS, git, write

APT_GET = '''#!/bin/sh
echo "apt-get $*" >>"$FAKE/calls"
for a; do
	case $a in
	Dir::State::lists=*) lists=${a#*=} ;;
	esac
done
case " $* " in
*" update "*)
	[ ! -e "$FAKE/offline" ] || { echo "E: no route to the mirror"; exit 100; }
	[ -e "$FAKE/silent" ] || : >"$lists/x_Packages"
	;;
*" download "*)
	[ ! -e "$FAKE/cut" ] || { head -c 100 "$FAKE/deb" >x.deb
				  echo "E: connection lost"; exit 100; }
	cp "$FAKE/deb" tiny.deb
	;;
esac
'''
APT_CACHE = '#!/bin/sh\necho "tiny | $(cat "$FAKE/version") | x"\n'
# unpacks a part of the archive, then behaves as the test requests
TAR = '''#!/bin/sh
case $1 in
-xf)
	[ ! -e "$FAKE/full" ] || { echo half >"$4/half"; exit 2; }
	[ ! -e "$FAKE/hang" ] || { echo half >"$4/half"; : >"$FAKE/hangs"
				   exec sleep 60; }
	;;
esac
exec /bin/tar "$@"
'''
ENV_FILE = '''BASE_PACKAGE=tiny
BASE_VERSION=1.2.3-1
BASE_SUITE=suite
BASE_DEB_SHA256=%s
BASE_TAR_SHA256=%s
BASE_COMMIT=%s
'''


def sha256(path):
    """Return the checksum of a file."""
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


def _package(made=[]):
    """Return (package, archive) with a kernel of two files, made once."""
    if not made:
        tmp = tempfile.mkdtemp(prefix='iou-bpf-test.')
        atexit.register(shutil.rmtree, tmp, True)
        write(tmp, {'linux-source-1.2/Makefile': 'all:\n',
                    'linux-source-1.2/.gitignore': '/*\n',
                    'deb/DEBIAN/control': 'Package: tiny\nVersion: 1.2.3-1\n'
                    'Architecture: all\nMaintainer: t <t@localhost>\n'
                    'Description: t\n'})
        tar = os.path.join(tmp, 'deb/usr/src/linux-source-1.2.tar.xz')
        os.makedirs(os.path.dirname(tar))
        subprocess.run(['tar', '-cJf', tar, '-C', tmp, 'linux-source-1.2'],
                       check=True)
        subprocess.run(['dpkg-deb', '-b', '--root-owner-group', tmp + '/deb',
                        tmp + '/tiny.deb'], check=True,
                       stdout=subprocess.DEVNULL)
        made += [tmp + '/tiny.deb', tar]
    return made


@unittest.skipUnless(shutil.which('dpkg-deb'), 'no dpkg-deb')
class Base(unittest.TestCase):
    """Runs of base.sh with an empty cache."""

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix='iou-bpf-test.')
        self.addCleanup(shutil.rmtree, self.tmp, True)
        self.cache = os.path.join(self.tmp, 'cache')
        self.fake = os.path.join(self.tmp, 'fake')
        write(self.fake, {'apt-get': APT_GET, 'apt-cache': APT_CACHE,
                          'tar': TAR, 'version': '1.2.3-1\n', 'calls': ''})
        for name in ('apt-get', 'apt-cache', 'tar'):
            os.chmod(os.path.join(self.fake, name), 0o755)
        deb, tar = _package()
        shutil.copy(deb, os.path.join(self.fake, 'deb'))
        self.pin(sha256(deb), sha256(tar))

    def pin(self, deb, tar, commit=''):
        """Set the checksums and the commit that base.sh expects."""
        write(self.tmp, {'base.env': ENV_FILE % (deb, tar, commit)})

    def flag(self, name, on=True):
        """Make the stand-ins misbehave, or not."""
        if on:
            write(self.fake, {name: ''})
        else:
            os.unlink(os.path.join(self.fake, name))

    def start(self):
        env = dict(ENV, IOU_BPF_CACHE=self.cache, FAKE=self.fake,
                   IOU_BPF_BASE_ENV=os.path.join(self.tmp, 'base.env'),
                   IOU_BPF_MIRROR='http://mirror.invalid/debian',
                   PATH='%s:%s' % (self.fake, os.environ['PATH']))
        # background jobs of a shell ignore SIGINT by default
        return subprocess.Popen([os.path.join(SCRIPTS, 'base.sh')], env=env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                start_new_session=True,
                                preexec_fn=lambda: signal.signal(
                                    signal.SIGINT, signal.SIG_DFL))

    def good(self):
        p = self.start()
        err = p.communicate()[1].decode()
        self.assertEqual(p.returncode, 0, err)
        self.assertEqual(git(self.linux(), 'ls-tree', '--name-only', 'base'),
                         '.gitignore\nMakefile\n')
        self.assertEqual(git(self.linux(), 'status', '--porcelain'), '')
        self.no_leavings()
        return err

    def bad(self, says):
        p = self.start()
        err = p.communicate()[1].decode()
        self.assertEqual(p.returncode, 1, err)
        self.assertIn('error: ' + says, err)
        self.assertEqual(len(err.split('error: ')), 2, err)
        self.assertFalse(os.path.exists(self.linux()))
        self.no_leavings()

    def linux(self):
        return os.path.join(self.cache, 'linux')

    def no_leavings(self):
        """Check that the cache has no partial results."""
        self.assertEqual([n for n in os.listdir(self.cache)
                          if n.startswith(('new.', 'fetch.'))], [])

    def test_good(self):
        self.good()
        commit = git(self.linux(), 'rev-parse', 'base').strip()
        deb, tar = _package()
        self.assertEqual(sha256(os.path.join(self.cache, 'archive.tar.xz')),
                         sha256(tar))
        # a second machine gets the same commit, and verifies it
        self.pin(sha256(deb), sha256(tar), commit)
        shutil.rmtree(self.cache)
        self.good()

    def test_second_run_fetches_nothing(self):
        self.good()
        write(self.fake, {'calls': ''})
        self.flag('offline')
        self.assertIn('the base is there', self.good())
        with open(os.path.join(self.fake, 'calls'), encoding='utf-8') as f:
            self.assertEqual(f.read(), '')

    def test_wrong_package_checksum(self):
        self.pin('0' * 64, '')
        self.bad('tiny 1.2.3-1 has the wrong checksum')
        self.assertFalse(os.path.exists(os.path.join(self.cache, 'tiny.deb')))

    def test_wrong_archive_checksum(self):
        self.pin(sha256(_package()[0]), '0' * 64)
        self.bad('the archive in the source package has the wrong checksum')

    def test_wrong_commit(self):
        deb, tar = _package()
        self.pin(sha256(deb), sha256(tar), '0' * 40)
        self.bad('the import became commit')

    def test_damaged_cache(self):
        write(self.cache, {'tiny.deb': 'x'})
        self.good()

    def test_no_network(self):
        self.flag('offline')
        self.bad('cannot read the package lists of suite: E: no route')

    def test_no_network_and_apt_is_silent(self):
        self.flag('silent')
        self.bad('no network?')

    def test_download_cut(self):
        self.flag('cut')
        self.bad('cannot download tiny 1.2.3-1: E: connection lost')
        self.flag('cut', False)
        self.good()

    def test_other_version_served(self):
        write(self.fake, {'version': '1.2.4-1\n'})
        self.assertIn('WARNING: the pinned version is no longer served; '
                      'taking 1.2.4-1', self.good())

    def test_disk_full(self):
        self.flag('full')
        self.bad('cannot unpack the kernel source (disk full?)')
        self.flag('full', False)
        self.good()

    def interrupt(self, sig):
        """Send a signal to all processes of a run that is unpacking."""
        self.flag('hang')
        p = self.start()
        for _ in range(600):
            if os.path.exists(os.path.join(self.fake, 'hangs')):
                break
            time.sleep(0.05)
        else:
            self.fail('it does not unpack')
        os.killpg(p.pid, sig)
        p.communicate()
        self.assertNotEqual(p.returncode, 0)
        self.assertFalse(os.path.exists(self.linux()))
        self.flag('hang', False)

    def test_interrupted(self):
        for sig in (signal.SIGINT, signal.SIGTERM):
            self.interrupt(sig)
            self.no_leavings()
            os.unlink(os.path.join(self.fake, 'hangs'))
        self.good()

    def test_killed(self):
        # SIGKILL prevents the cleanup, but partial results are not used
        self.interrupt(signal.SIGKILL)
        p = self.start()
        err = p.communicate()[1].decode()
        self.assertEqual(p.returncode, 0, err)
        self.assertFalse(os.path.exists(os.path.join(self.linux(), 'half')))
        self.assertEqual(git(self.linux(), 'status', '--porcelain'), '')
