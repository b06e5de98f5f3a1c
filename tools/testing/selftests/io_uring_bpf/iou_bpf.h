/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers of the io_uring BPF tests. The IOU_* and *_CQE macros require
 * kselftest_harness.h.
 */
#ifndef IOU_BPF_H
#define IOU_BPF_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/*
 * header of this kernel, and first: liburing has an older one with the same
 * guard
 */
#include <linux/io_uring.h>
#include <linux/bpf.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <liburing.h>

#include "progs/iou_bpf_event.h"

/* the definitions of the kernel are not UAPI, programs get them from BTF */
enum {
	BPF_IO_URING_START	= 0,
	BPF_IO_URING_COMPLETE	= 1,
	BPF_IO_URING_AUX	= 2,
	BPF_IO_URING_CANCEL	= 3,

	BPF_IO_URING_DEFAULT	= 0,
	BPF_IO_URING_POST	= 1,
	BPF_IO_URING_DROP	= 2,
	BPF_IO_URING_DROP_BUF	= 3,
	BPF_IO_URING_NEXT	= 1U << 2,
	BPF_IO_URING_GO_ON	= 1U << 3,
	BPF_IO_URING_CUT	= 1U << 4,
	BPF_IO_URING_VERDICT_MAX = BPF_IO_URING_CUT | BPF_IO_URING_NEXT |
				   BPF_IO_URING_DROP_BUF,

	BPF_IO_URING_ISSUE_APP		= 1U << 0,
	BPF_IO_URING_CANCEL_ALL		= 1U << 0,
	BPF_IO_URING_REST		= 1U << 0,
	BPF_IO_URING_POST_CANCELED	= 1U << 1,
	BPF_IO_URING_MEMBER_TIMEOUT	= 1U << 8,

	BPF_IO_URING_F_CHILD	= 1U << 0,
	BPF_IO_URING_F_NEXT	= 1U << 1,
	BPF_IO_URING_F_MATCH	= 1U << 2,
	BPF_IO_URING_F_ENDING	= 1U << 3,
};

#define IOU_MAX_SLOTS		16
/* requests that one run can issue */
#define IOU_RUN_SQES		128
#define IOU_ENTRIES		64
/* generous, for emulated machines */
#define IOU_WAIT_MS		15000
/* idle time after which nothing more is expected */
#define IOU_IDLE_MS		100

#define IOU_DEFER	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

#include "iou_ring.h"

static inline void iou_prep_bpf(struct io_uring_sqe *sqe, unsigned int slot,
				__u64 a0, __u64 a1, __u64 a2, __u64 a3)
{
	memset(sqe, 0, sizeof(*sqe));
#ifdef HAVE_IO_URING_BPF
	io_uring_prep_bpf(sqe, slot, a0, a1);
	io_uring_sqe_set_bpf_args(sqe, a2, a3);
#else
	sqe->opcode = IORING_OP_BPF;
	sqe->fd = -1;
	sqe->len = slot;
	sqe->off = a0;
	sqe->addr = a1;
	sqe->addr3 = a2;
	sqe->bpf_arg = a3;
#endif
}

/*
 * Prepare a NOP with result @res, which completes by task work with
 * IORING_NOP_TW.
 */
static inline void iou_prep_nop(struct io_uring_sqe *sqe, __s32 res,
				unsigned int nop_flags, __u64 user_data)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_NOP;
	sqe->fd = -1;
	sqe->len = res;
	sqe->nop_flags = nop_flags | IORING_NOP_INJECT_RESULT;
	sqe->user_data = user_data;
}

static inline void iou_prep_read(struct io_uring_sqe *sqe, int fd, void *buf,
				 unsigned int len, __u64 off, __u64 user_data)
{
	memset(sqe, 0, sizeof(*sqe));
	io_uring_prep_read(sqe, fd, buf, len, off);
	sqe->user_data = user_data;
}

static inline void iou_prep_write(struct io_uring_sqe *sqe, int fd,
				  const void *buf, unsigned int len, __u64 off,
				  __u64 user_data)
{
	memset(sqe, 0, sizeof(*sqe));
	io_uring_prep_write(sqe, fd, buf, len, off);
	sqe->user_data = user_data;
}

static inline void iou_queue_cancel(struct io_uring *ring, __u64 target,
				    __u64 user_data)
{
	struct io_uring_sqe *sqe = iou_get_sqe(ring);

	io_uring_prep_cancel64(sqe, target, 0);
	sqe->user_data = user_data;
}

/*
 * Cancel by a system call, which waits at most 10 seconds until the request is
 * gone. @fd is -1 if no file is to match. Return the result of the call.
 */
static inline int iou_sync_cancel(struct io_uring *ring, __u64 target,
				  unsigned int flags, int fd, __u8 opcode)
{
	struct io_uring_sync_cancel_reg reg = {
		.addr		= target,
		.fd		= fd,
		.flags		= flags,
		.opcode		= opcode,
		.timeout	= { .tv_sec = 10 },
	};

	return io_uring_register_sync_cancel(ring, &reg);
}

/* Queue a flow for @slot, and return its SQE for flags and arguments. */
static inline struct io_uring_sqe *iou_queue_bpf(struct io_uring *ring,
						 unsigned int slot,
						 __u64 user_data)
{
	struct io_uring_sqe *sqe = iou_get_sqe(ring);

	iou_prep_bpf(sqe, slot, 0, 0, 0, 0);
	sqe->user_data = user_data;
	return sqe;
}

#include "iou_cqe.h"

/*
 * Return true if one of @events happens to @fd within @ms. The write end of a
 * pipe gets POLLERR when it has no reader left, including requests.
 */
static inline bool iou_fd_gets(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, ms) == 1 && (pfd.revents & events);
}

static inline const char *iou_probe_ring(void)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool supported;

	if (!probe)
		return "no io_uring";
	supported = io_uring_opcode_supported(probe, IORING_OP_BPF);
	io_uring_free_probe(probe);
	if (!supported)
		return "no IORING_OP_BPF, is CONFIG_IO_URING_BPF_PROG set?";
	if (geteuid())
		return "needs root, to load programs";
	return NULL;
}

static inline const char *iou_probe(void)
{
	const char *why = iou_probe_ring();

	if (why)
		return why;
	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_IOURING, NULL) != 1)
		return "no BPF_PROG_TYPE_IOURING";
	return NULL;
}

/* Return the missing requirement of the tests, or NULL. */
static inline const char *iou_unsupported(void)
{
	static const char *why;
	static bool known;

	if (!known)
		why = iou_probe();
	known = true;
	return why;
}

/*
 * Load the programs of @name once, in the process from which all tests are
 * forked: loading takes longer than most tests. name_get() zeroes their
 * globals.
 */
#define IOU_LOAD_ONCE(name)						\
static struct name *name##_loaded;					\
static void __attribute__((constructor)) name##_load(void)		\
{									\
	if (!iou_unsupported())						\
		name##_loaded = name##__open_and_load();		\
}									\
static inline struct name *name##_get(void)				\
{									\
	if (name##_loaded)						\
		memset(name##_loaded->bss, 0, sizeof(*name##_loaded->bss));\
	return name##_loaded;						\
}									\
static struct name *name##_loaded

#define IOU_REQUIRE() do {						\
	const char *__why = iou_unsupported();				\
									\
	if (__why)							\
		SKIP(return, "%s", __why);				\
} while (0)

#define IOU_MODE(fixture, name, _setup)					\
FIXTURE_VARIANT_ADD(fixture, name) {					\
	.setup = _setup,						\
}

/*
 * Both ways of running task work. Goes between FIXTURE() and FIXTURE_SETUP().
 */
#define IOU_RING_VARIANTS(fixture)					\
FIXTURE_VARIANT(fixture) {						\
	unsigned int setup;						\
};									\
IOU_MODE(fixture, plain, 0);						\
IOU_MODE(fixture, defer, IOU_DEFER)

/*
 * In addition, all modes and shapes of a ring. Those that are independent share
 * a variant. Tests submit with iou_submit().
 */
#define IOU_MODE_VARIANTS(fixture)					\
IOU_RING_VARIANTS(fixture);						\
IOU_MODE(fixture, sqpoll, IORING_SETUP_SQPOLL | IOU_SHAPED);		\
IOU_MODE(fixture, wide, IORING_SETUP_CQE32 | IORING_SETUP_SQE128 |	\
			IORING_SETUP_COOP_TASKRUN |			\
			IORING_SETUP_TASKRUN_FLAG | IOU_SHAPED);	\
IOU_MODE(fixture, mixed, IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE_MIXED |\
			 IOU_DEFER | IOU_SHAPED)

#define IOU_WIDE_CQES	(IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED)

/* Attach @prog to @slot, or fail the test. */
#define IOU_ATTACH(prog, ring, _slot) ({				\
	LIBBPF_OPTS(bpf_iouring_opts, __opts, .slot = (_slot));		\
	struct bpf_link *__link;					\
									\
	__link = bpf_program__attach_iouring(prog, (ring)->ring_fd,	\
					     &__opts);			\
	ASSERT_NE(NULL, __link) TH_LOG("attach: %s", strerror(errno));	\
	__link;								\
})

/* Check that the next CQE is this one. */
#define ASSERT_CQE_FLAGS(ring, _user_data, _res, _flags) do {		\
	struct io_uring_cqe __cqe = {};					\
									\
	ASSERT_EQ(0, iou_wait_cqe(ring, &__cqe)) {			\
		TH_LOG("no CQE, expected user_data %#llx",		\
		       (unsigned long long)(_user_data));		\
	}								\
	ASSERT_EQ((__u64)(_user_data), __cqe.user_data) {		\
		TH_LOG("its res is %d", __cqe.res);			\
	}								\
	ASSERT_EQ((__s32)(_res), __cqe.res);				\
	ASSERT_EQ((__u32)(_flags), __cqe.flags);			\
} while (0)

#define ASSERT_CQE(ring, _user_data, _res)				\
	ASSERT_CQE_FLAGS(ring, _user_data, _res, 0)

/* Check that there is no CQE, and that none arrives soon. */
#define ASSERT_NO_CQE(ring) do {					\
	struct io_uring_cqe __cqe = {};					\
									\
	ASSERT_EQ(-ETIME, iou_wait_cqe_ms(ring, &__cqe, IOU_IDLE_MS)) {	\
		TH_LOG("CQE: user_data %#llx, res %d",			\
		       (unsigned long long)__cqe.user_data, __cqe.res);	\
	}								\
} while (0)

/* Check that the @nr @cqes of iou_wait_cqes() include this one. */
#define ASSERT_HAS_CQE(cqes, nr, _user_data, _res) do {			\
	struct io_uring_cqe *__cqe = iou_find_cqe(cqes, nr, _user_data);\
									\
	ASSERT_NE(NULL, __cqe) {					\
		TH_LOG("no CQE with user_data %#llx",			\
		       (unsigned long long)(_user_data));		\
	}								\
	ASSERT_EQ((__s32)(_res), __cqe->res) {				\
		TH_LOG("of user_data %#llx",				\
		       (unsigned long long)(_user_data));		\
	}								\
} while (0)

/* Cancel a flow, and wait for the CQEs of both requests. */
#define IOU_CANCEL_FLOW(ring, flow, cancel) do {			\
	struct io_uring_cqe __cqes[2];					\
									\
	iou_queue_cancel(ring, flow, cancel);				\
	ASSERT_EQ(1, iou_submit(ring));					\
	ASSERT_EQ(0, iou_wait_cqes(ring, __cqes, 2));			\
	ASSERT_HAS_CQE(__cqes, 2, cancel, 0);				\
	ASSERT_HAS_CQE(__cqes, 2, flow, -ECANCELED);			\
} while (0)

#endif
