# SPDX-License-Identifier: GPL-2.0
"""What export.py, refresh.py and snapshot.py share."""
