# SPDX-License-Identifier: GPL-2.0
"""Fuzzing in guests: scripts/fuzz.py, fuzz-mutants.py and fuzz-coverage.py."""
