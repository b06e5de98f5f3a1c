# SPDX-License-Identifier: GPL-2.0
#
# io_uring BPF: a patch series for Linux 7.3, with scripts to build, boot and test it.
# "make" lists the targets.

S := scripts

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

deps:			## install the required packages (root, Debian 12 or 13)
	@$(S)/deps.sh

base: deps		## fetch the kernel that the series applies to
	@$(S)/base.sh

series: base		## write the patches to build/series/, and check them with git am
	@$(S)/export.py --verify

tree: base		## apply the series, as commits, to the kernel work tree in the cache
	@$(S)/tree.py

refresh:		## update this repository from the commits of the kernel work tree [FORCE=1]
	@$(S)/refresh.py $(if $(FORCE),--force)

kernel: tree		## build the kernel and its selftests
	@$(S)/kernel.sh
	@$(S)/selftests.sh

shell: kernel		## boot the kernel and run a shell
	@$(S)/shell.sh

demo: kernel		## boot the kernel and copy a file with a single flow
	@$(S)/demo.sh

check: series kernel	## run the demo and all tests, on a kernel with lockdep and KASAN
	@$(S)/check.sh

check-fault: kernel	## fail each allocation in turn: expect an errno, no hang, no leak
	@$(S)/check-fault.sh

check-long: kernel	## run tests that take hours: applications, all of liburing's tests twice
	@$(S)/deps.sh long
	@failed=; \
	IOU_LONG=1 IOU_BPF_BOOT_TIMEOUT=20000 $(S)/check.sh \
		lookup_lmdb_test lookup_lmdb_bad_test lookup_sqlite_test lookup_sqlite_bad_test \
		iou_lookup_test.sh iou_log_test.py iou_proxy_test.py iou_proxy_apps_test.py || \
		failed=check.sh; \
	$(S)/log-kill.sh || failed="$$failed log-kill.sh"; \
	$(S)/liburing-all.sh || failed="$$failed liburing-all.sh"; \
	[ -z "$$failed" ] || { echo "failed: $$failed" >&2; exit 1; }

liburing: kernel	## fetch liburing, apply the patches in liburing/, build, and run their tests
	@$(S)/liburing.sh
	@$(S)/check.sh liburing_test

mutants: kernel		## check that the tests detect faults in the kernel [TESTS="a_test b_test"]
	@$(S)/mutants.py $(TESTS)

fuzz: kernel		## run random programs on random rings [TIME=20m] [SEED=N] [MODE=...]
	@$(S)/fuzz.py run TIME="$(TIME)" SEED="$(SEED)" MODE="$(MODE)"

fuzz-replay: kernel	## replay a case, with flows and with plain requests: SEED=NAME [CONTROL=1] [TRIES=N]
	@$(S)/fuzz.py replay SEED="$(SEED)" CONTROL="$(CONTROL)" TRIES="$(TRIES)" \
		MODE="$(MODE)"

fuzz-min: kernel	## minimise a case that fails: SEED=NAME
	@$(S)/fuzz.py min SEED="$(SEED)" MODE="$(MODE)"

fuzz-mutants: kernel	## check that the fuzzer detects faults in the kernel [TIME=60m] [MUTANTS="a b"]
	@$(S)/fuzz-mutants.py TIME="$(TIME)" SEED="$(SEED)" MUTANTS="$(MUTANTS)"

bench: tree		## count instructions and events, with the series and without
	@$(S)/deps.sh bench
	@$(S)/bench.sh run

bench-record:		## record the last results, for bench-compare and for the tables of the series
	@$(S)/bench/compare.py --record build/bench/results.json $(S)/bench/recorded.json
	@$(S)/figures.py

bench-profile:		## count instructions by function: WORKLOAD=nop ARM="flow link" [KERNEL=base]
	@$(S)/bench.sh profile "$(WORKLOAD)" "$(ARM)" $(KERNEL)

A := $(S)/bench/recorded.json
B := build/bench/results.json
bench-compare:		## compare two result files: A=FILE B=FILE (default: recorded and last results)
	@$(S)/bench/compare.py $(A) $(B)

check-scripts:		## run only the tests of the scripts
	@$(S)/tests/run

lint: series tree	## run checkpatch on each patch; W=1, sparse, kernel-doc, Sphinx
	@$(S)/deps.sh lint
	@$(S)/lint.sh

bisect: series		## build, boot and test each prefix of the series [RANGE=FIRST..LAST] [BUILD_ONLY=1]
	@$(S)/bisect.sh $(if $(BUILD_ONLY),--build-only) $(RANGE)

clean:			## remove build/
	rm -rf build

distclean: clean	## also remove the cache: downloads, kernel trees, objects
	@$(S)/distclean.sh

.PHONY: help deps base series tree refresh kernel shell demo check check-fault \
	check-long liburing mutants fuzz fuzz-replay fuzz-min fuzz-mutants bench bench-record \
	bench-profile bench-compare check-scripts lint bisect clean distclean
