/* SPDX-License-Identifier: GPL-2.0 */
/* Reaping of CQEs, for iou_bpf.h */
#ifndef IOU_CQE_H
#define IOU_CQE_H

static inline __u64 iou_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* A CQE of any size. For 16 bytes, the two extra words are zero. */
struct iou_cqe {
	struct io_uring_cqe cqe;
	__u64 extra[2];
};

/* Take a CQE. Return false for one that only fills the end of a mixed CQ. */
static inline bool iou_take_cqe(struct io_uring *ring, struct io_uring_cqe *cqe,
				struct iou_cqe *out)
{
	bool mixed = ring->flags & IORING_SETUP_CQE_MIXED;
	bool two = mixed && (cqe->flags & IORING_CQE_F_32);
	bool skip = mixed && (cqe->flags & IORING_CQE_F_SKIP);

	memset(out, 0, sizeof(*out));
	out->cqe = *cqe;
	if (two || (ring->flags & IORING_SETUP_CQE32))
		memcpy(out->extra, cqe->big_cqe, sizeof(out->extra));
	io_uring_cq_advance(ring, two ? 2 : 1);
	return !skip;
}

/* Take the next CQE off the ring. Return 0 or -ETIME. */
static inline int iou_wait_big_cqe(struct io_uring *ring, struct iou_cqe *out,
				   unsigned int ms)
{
	__u64 end = iou_now_ms() + ms;
	struct io_uring_cqe *cqe;
	int ret;

	do {
		__s64 left = end - iou_now_ms();
		struct __kernel_timespec ts;

		if (left < 0)
			left = 0;
		ts.tv_sec = left / 1000;
		ts.tv_nsec = left % 1000 * 1000000;
		ret = io_uring_wait_cqe_timeout(ring, &cqe, &ts);
		if (!ret && iou_take_cqe(ring, cqe, out))
			return 0;
		/* a polling wait returns if there is no request to poll for */
		if (ret == -ETIME && (ring->flags & IORING_SETUP_IOPOLL) && left)
			ret = -EAGAIN;
	} while (!ret || ret == -EINTR || ret == -EAGAIN);
	return ret;
}

static inline int iou_wait_cqe_ms(struct io_uring *ring,
				  struct io_uring_cqe *out, unsigned int ms)
{
	struct iou_cqe big;
	int ret;

	ret = iou_wait_big_cqe(ring, &big, ms);
	if (!ret)
		*out = big.cqe;
	return ret;
}

static inline int iou_wait_cqe(struct io_uring *ring, struct io_uring_cqe *out)
{
	return iou_wait_cqe_ms(ring, out, IOU_WAIT_MS);
}

/* Take @nr CQEs off the ring, in any order. */
static inline int iou_wait_cqes(struct io_uring *ring, struct io_uring_cqe *out,
				unsigned int nr)
{
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = iou_wait_cqe(ring, &out[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Wait for @nr CQEs in one call. Return 0, -ETIME, or -EAGAIN if the wait ended
 * too early. liburing reports success if there is any CQE, even after a
 * timeout.
 */
static inline int iou_wait_nr(struct io_uring *ring, unsigned int nr)
{
	struct __kernel_timespec ts = { .tv_sec = IOU_WAIT_MS / 1000 };
	__u64 start = iou_now_ms();
	struct io_uring_cqe *cqe;
	int ret;

	do {
		ret = io_uring_wait_cqes(ring, &cqe, nr, &ts, NULL);
	} while (ret == -EINTR);
	if (!ret && iou_now_ms() - start >= IOU_WAIT_MS)
		return -ETIME;
	if (!ret && io_uring_cq_ready(ring) < nr)
		return -EAGAIN;
	return ret;
}

static inline struct io_uring_cqe *iou_find_cqe(struct io_uring_cqe *cqes,
						unsigned int nr, __u64 user_data)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (cqes[i].user_data == user_data)
			return &cqes[i];
	}
	return NULL;
}

#endif
