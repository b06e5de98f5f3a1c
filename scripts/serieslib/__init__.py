# SPDX-License-Identifier: GPL-2.0
"""What export.py, tree.py and refresh.py share."""
