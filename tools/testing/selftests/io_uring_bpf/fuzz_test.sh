#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run some hundred cases of the fuzzer that are the same each time.
exec "$(dirname "$0")/iou_fuzz" --set
