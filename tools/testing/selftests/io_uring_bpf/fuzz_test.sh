#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run a fixed set of about a hundred cases of the fuzzer.
exec "$(dirname "$0")/iou_fuzz" --set
