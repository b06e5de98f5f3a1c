# SPDX-License-Identifier: GPL-2.0
"""Common code of scripts/fuzz.py, fuzz-mutants.py and fuzz-coverage.py."""
