# SPDX-License-Identifier: GPL-2.0
"""scripts/leaks.sh finds our objects in a report of kmemleak."""
import os
import subprocess
import tempfile
import unittest

from fixture import SCRIPTS

OURS = '''unreferenced object 0xffff888004a3c800 (size 2048):
  comm "fault_test", pid 171, jiffies 4294931212
  hex dump (first 32 bytes):
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
  backtrace (crc 0):
    __kmalloc_cache_noprof+0x1f1/0x2a0
    io_bpf_ring_alloc+0x3c/0x1a0
    bpf_io_uring_link_attach+0x151/0x2f0
'''

OTHER = '''unreferenced object 0xffff888004a3c000 (size 64):
  comm "init", pid 1, jiffies 4294931000
  backtrace (crc 0):
    acpi_ns_create_node+0x3c/0x1a0
'''


class Leaks(unittest.TestCase):

    def leaks(self, text):
        """Return the exit status and the output."""
        with tempfile.NamedTemporaryFile('w') as f:
            f.write(text)
            f.flush()
            p = subprocess.run([os.path.join(SCRIPTS, 'leaks.sh'), f.name],
                               text=True, capture_output=True, check=False)
        return p.returncode, p.stdout

    def test_none(self):
        self.assertEqual((0, ''), self.leaks(''))

    def test_other(self):
        self.assertEqual((0, ''), self.leaks(OTHER + OTHER))

    def test_ours(self):
        self.assertEqual((1, OURS), self.leaks(OTHER + OURS + OTHER))
        self.assertEqual((1, OURS), self.leaks(OURS))

    def test_no_report(self):
        p = subprocess.run([os.path.join(SCRIPTS, 'leaks.sh'), '/nonexistent'],
                           capture_output=True, check=False)
        self.assertEqual(2, p.returncode)
