# SPDX-License-Identifier: GPL-2.0
#
# io_uring BPF: a patch series for Linux 7.3, and all it takes to build, boot
# and test it. Type "make" for what there is.

S := scripts

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

deps:			## install what is needed (root, Debian 12 or 13)
	@$(S)/deps.sh

base: deps		## fetch the kernel that the series is made for
	@$(S)/base.sh

series: base		## write the patches to build/series/, and prove that git am takes them
	@$(S)/export.py --verify

tree: base		## put the series on the kernel work tree in the cache, as commits
	@$(S)/tree.py

refresh:		## carry the commits of the kernel work tree back to this repository [FORCE=1]
	@$(S)/refresh.py $(if $(FORCE),--force)

kernel: tree		## build the kernel and its selftests
	@$(S)/kernel.sh
	@$(S)/selftests.sh

shell: kernel		## a shell in the booted kernel
	@$(S)/shell.sh

demo: kernel		## one flow copies a file, in the booted kernel
	@$(S)/demo.sh

check: series kernel	## demo and all tests, on a kernel with lock debugging and KASAN
	@$(S)/check.sh

check-fault: kernel	## when memory runs out, at each place in turn: an errno, no hang, no leak
	@$(S)/check-fault.sh

check-long: kernel	## what takes hours: the applications, and all of liburing's tests twice
	@$(S)/deps.sh long
	@IOU_LONG=1 IOU_BPF_BOOT_TIMEOUT=20000 $(S)/check.sh \
		lookup_lmdb_test lookup_lmdb_bad_test lookup_sqlite_test lookup_sqlite_bad_test \
		iou_log_test.py iou_proxy_test.py iou_proxy_apps_test.py
	@$(S)/log-kill.sh
	@$(S)/liburing-all.sh

liburing: kernel	## fetch liburing, apply the patches in liburing/, build, and run their tests
	@$(S)/liburing.sh
	@$(S)/check.sh liburing_test

mutants: kernel		## do the tests fail when the kernel is wrong? [TESTS="a_test b_test"]
	@$(S)/mutants.py $(TESTS)

fuzz: kernel		## random programs on random rings [TIME=20m] [SEED=N] [MODE=...]
	@$(S)/fuzz.py run TIME="$(TIME)" SEED="$(SEED)" MODE="$(MODE)"

fuzz-replay: kernel	## one case again, and as plain requests: SEED=NAME [CONTROL=1] [TRIES=N]
	@$(S)/fuzz.py replay SEED="$(SEED)" CONTROL="$(CONTROL)" TRIES="$(TRIES)" \
		MODE="$(MODE)"

fuzz-min: kernel	## make a case that fails smaller: SEED=NAME
	@$(S)/fuzz.py min SEED="$(SEED)" MODE="$(MODE)"

fuzz-mutants: kernel	## does the fuzzer notice when the kernel is wrong? [TIME=60m] [MUTANTS="a b"]
	@$(S)/fuzz-mutants.py TIME="$(TIME)" SEED="$(SEED)" MUTANTS="$(MUTANTS)"

bench: tree		## count instructions and events, of the kernel with the series and without
	@$(S)/deps.sh bench
	@$(S)/bench.sh run

bench-record:		## keep the last figures, for bench-compare and for the tables of the series
	@$(S)/bench/compare.py --record build/bench/results.json $(S)/bench/recorded.json
	@$(S)/figures.py

bench-profile:		## instructions by function: WORKLOAD=nop ARM="flow link" [KERNEL=base]
	@$(S)/bench.sh profile "$(WORKLOAD)" "$(ARM)" $(KERNEL)

A := $(S)/bench/recorded.json
B := build/bench/results.json
bench-compare:		## two result files side by side: A=FILE B=FILE, or the last one and the recorded one
	@$(S)/bench/compare.py $(A) $(B)

check-scripts:		## only the tests of the scripts
	@$(S)/tests/run

lint: series tree	## checkpatch patch by patch; W=1, sparse, kernel-doc, Sphinx
	@$(S)/deps.sh lint
	@$(S)/lint.sh

bisect: series		## build, boot and test each prefix of the series [RANGE=FIRST..LAST] [BUILD_ONLY=1]
	@$(S)/bisect.sh $(if $(BUILD_ONLY),--build-only) $(RANGE)

clean:			## remove what was built here
	rm -rf build

distclean: clean	## remove the cache as well: downloads, kernel trees, objects
	@$(S)/distclean.sh

.PHONY: help deps base series tree refresh kernel shell demo check check-fault \
	check-long liburing mutants fuzz fuzz-replay fuzz-min fuzz-mutants bench bench-record \
	bench-profile bench-compare check-scripts lint bisect clean distclean
