# SPDX-License-Identifier: GPL-2.0
"""scripts/vm.sh stops a guest that hangs, and shows the end of its log; scripts/boot.sh
gives the guest a disk."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from fixture import SCRIPTS

sys.path.insert(0, SCRIPTS)
from serieslib.util import GUEST_BUILD  # noqa: E402

# stands in for virtme-ng: prints, and then hangs or ends
VNG = '''
import sys, time
sys.stderr.write('[ 1.0] the last words\\n')
sys.stderr.flush()
print('output')
sys.stdout.flush()
if 'hang' in sys.argv[-1]:
    time.sleep(60)
sys.exit(3 if 'bad' in sys.argv[-1] else 0)
'''
# prints the arguments and the disk of a guest
BOOTED = '''
import re, sys
words = ' '.join(sys.argv)
print('words:', words)
print('disk:', open(re.search('file=([^,]*),', words)[1]).read())
'''


class Vm(unittest.TestCase):

    def setUp(self):
        self.cache = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.cache)
        self.put('vng/usr/bin/vng', VNG)
        self.put('build/debug/arch/x86/boot/bzImage', 'x')
        with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as f:
            self.put('kvm', f.read() + 'tcg\n')
        self.log = os.path.join(self.cache, 'log')

    def put(self, name, text):
        path = os.path.join(self.cache, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)

    def run_vm(self, command):
        return self.run_with('vm_run 6 "%s" -- %s || exit $?'
                             % (self.log, command))

    def run_with(self, script):
        script = ('. "%s/lib.sh"; . "%s/vm.sh"; BUILD=$CACHE/out; '
                  % (SCRIPTS, SCRIPTS) + script)
        return subprocess.run(['bash', '-c', script], text=True,
                              capture_output=True, timeout=50,
                              env=dict(os.environ, IOU_BPF_CACHE=self.cache))

    def test_hang(self):
        p = self.run_vm('hang')
        self.assertEqual(124, p.returncode, p.stderr)
        self.assertIn('the last words', p.stderr)
        self.assertIn('stopped after 6 seconds', p.stderr)

    def test_end(self):
        p = self.run_vm('good')
        self.assertEqual((0, 'output\n'), (p.returncode, p.stdout))
        with open(self.log, encoding='ascii') as f:
            self.assertIn('the last words', f.read())

    def test_bad_end(self):
        self.assertEqual(3, self.run_vm('bad').returncode)

    def test_shell(self):
        # no command and no option, as in scripts/shell.sh
        p = self.run_with('vng')
        self.assertEqual((0, 'output\n'), (p.returncode, p.stdout), p.stderr)

    def test_guest_build(self):
        p = self.run_with('echo "$GUEST_BUILD"')
        self.assertEqual(GUEST_BUILD + '\n', p.stdout)

    def boot(self, command, config='debug'):
        """Run a copy of scripts/boot.sh, with a build folder of its own."""
        scripts = os.path.join(self.cache, 'top/scripts')
        self.disk = os.path.join(self.cache, 'disk.img')
        os.makedirs(scripts, exist_ok=True)
        for name in ('boot.sh', 'lib.sh', 'vm.sh'):
            shutil.copy(os.path.join(SCRIPTS, name), scripts)
        self.put('top/scripts/disk.sh', '#!/bin/sh\necho disk >"$1"\n')
        os.chmod(os.path.join(scripts, 'disk.sh'), 0o755)
        return subprocess.run([os.path.join(scripts, 'boot.sh'), self.disk, self.log, '2',
                               '--cpus', '1', '--', command], text=True,
                              capture_output=True, timeout=50,
                              env=dict(os.environ, IOU_BPF_CACHE=self.cache,
                                       IOU_BPF_CONFIG=config))

    def test_boot(self):
        self.put('vng/usr/bin/vng', BOOTED + VNG)
        self.put('build/other/arch/x86/boot/bzImage', 'x')
        p = self.boot('good', 'other')
        self.assertEqual((0, ''), (p.returncode, p.stdout), p.stderr)
        self.assertIn('output\n', p.stderr)
        self.assertIn('disk: disk\n', p.stderr)
        self.assertIn('--run %s/build/other/' % self.cache, p.stderr)
        self.assertIn('--cpus 1 --exec good\n', p.stderr)
        with open(self.log, encoding='ascii') as f:
            self.assertIn('the last words', f.read())
        self.assertFalse(os.path.exists(self.disk))

    def test_boot_fails(self):
        for command, rc in ('bad', 3), ('hang', 124):
            self.assertEqual(rc, self.boot(command).returncode)
            self.assertFalse(os.path.exists(self.disk))
        self.assertEqual(1, self.boot('good', 'missing').returncode)
        self.assertFalse(os.path.exists(self.disk))

    def test_no_kernel(self):
        os.unlink(os.path.join(self.cache, 'build/debug/arch/x86/boot/bzImage'))
        p = self.run_vm('good')
        self.assertEqual(1, p.returncode)
        self.assertIn('there is no kernel', p.stderr)
