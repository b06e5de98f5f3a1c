# SPDX-License-Identifier: GPL-2.0
"""Common code of export.py, tree.py, refresh.py, figures.py and mutants.py."""
