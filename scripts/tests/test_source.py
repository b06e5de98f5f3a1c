# SPDX-License-Identifier: GPL-2.0
"""Properties of the kernel's new files that show in the source."""
import glob
import os
import re
import unittest

from fixture import SCRIPTS

IO_URING = os.path.join(os.path.dirname(SCRIPTS), 'io_uring')


class Source(unittest.TestCase):

    def test_memory_is_charged(self):
        """Anybody can create rings, so the memory must be charged to the user."""
        flags = set()
        for name in glob.glob(os.path.join(IO_URING, 'bpf*.[ch]')):
            with open(name, encoding='utf-8') as f:
                flags.update(re.findall(r'\bGFP_\w+', f.read()))
        self.assertEqual({'GFP_KERNEL_ACCOUNT'}, flags)
