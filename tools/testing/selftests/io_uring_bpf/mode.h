/* SPDX-License-Identifier: GPL-2.0 */
/* Helpers for the tests of ring modes */
#ifndef IOU_MODE_H
#define IOU_MODE_H

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "progs/mode_post.h"
#include "mode.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define NOP	0x909ULL
#define MARKER	0x3a24e4ULL

#define EXTRA1	0x1111222233334444ULL
#define EXTRA2	0x5555666677778888ULL

IOU_LOAD_ONCE(mode);

static inline struct io_uring_sqe *mode_add_sqe(struct mode *skel)
{
	return &skel->bss->sqes[skel->bss->nr_sqes++];
}

static inline struct io_uring_sqe *mode_add_nop(struct mode *skel, int res,
						unsigned int nop_flags)
{
	__u64 user_data = CHILD + skel->bss->nr_sqes;
	struct io_uring_sqe *sqe = mode_add_sqe(skel);

	iou_prep_nop(sqe, res, nop_flags, user_data);
	return sqe;
}

/* Let a NOP complete with two extra words. */
static inline void mode_prep_extra(struct io_uring_sqe *sqe)
{
	sqe->nop_flags |= IORING_NOP_CQE32;
	sqe->off = EXTRA1;
	sqe->addr = EXTRA2;
}

/* Wait for @cond, within a limit for emulated machines. */
#define mode_until(cond) ({						\
	__u64 __end = iou_now_ms() + IOU_WAIT_MS;			\
	bool __ok;							\
									\
	while (!(__ok = (cond)) && iou_now_ms() < __end)		\
		usleep(1000);						\
	__ok;								\
})

#define ASSERT_BIG_CQE(ring, _user_data, _res, _flags, e1, e2) do {	\
	struct iou_cqe __cqe = {};					\
									\
	ASSERT_EQ(0, iou_wait_big_cqe(ring, &__cqe, IOU_WAIT_MS)) {	\
		TH_LOG("no CQE, expected user_data %#llx",		\
		       (unsigned long long)(_user_data));		\
	}								\
	ASSERT_EQ((__u64)(_user_data), __cqe.cqe.user_data);		\
	ASSERT_EQ((__s32)(_res), __cqe.cqe.res);			\
	ASSERT_EQ((__u32)(_flags), __cqe.cqe.flags);			\
	ASSERT_EQ((__u64)(e1), __cqe.extra[0]);				\
	ASSERT_EQ((__u64)(e2), __cqe.extra[1]);				\
} while (0)

#endif
