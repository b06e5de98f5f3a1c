/* SPDX-License-Identifier: GPL-2.0 */
/* Setup of rings and submission, for iou_bpf.h */
#ifndef IOU_RING_H
#define IOU_RING_H

/* Not all versions of liburing export all of these wrappers. */
static inline int iou_register(struct io_uring *ring, unsigned int opcode,
			       void *arg, unsigned int nr_args)
{
	int ret = syscall(__NR_io_uring_register, ring->ring_fd, opcode, arg,
			  nr_args);

	return ret < 0 ? -errno : ret;
}

static inline int iou_enable_ring(struct io_uring *ring)
{
	return iou_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/*
 * liburing can write to the SQ array of a ring without one, so provide an
 * array.
 */
static inline int iou_ring_init_raw(struct io_uring *ring, unsigned int entries,
				    struct io_uring_params *p)
{
	int fd = io_uring_setup(entries, p);
	int ret;

	if (fd < 0)
		return fd;
	ret = io_uring_queue_mmap(fd, p, ring);
	if (ret)
		return ret;
	ring->ring_fd = fd;
	ring->enter_ring_fd = fd;
	ring->flags = p->flags;
	ring->features = p->features;
	if (p->flags & IORING_SETUP_NO_SQARRAY)
		ring->sq.array = calloc(p->sq_entries, sizeof(*ring->sq.array));
	if (!ring->sq.array)
		return -ENOMEM;
	for (unsigned int i = 0; i < p->sq_entries; i++)
		ring->sq.array[i] = i;
	return 0;
}

/*
 * Resize the ring, and map the new rings at the addresses of the old ones. Only
 * for a ring of 64-byte SQEs with an SQ array.
 */
static inline int iou_resize_ring(struct io_uring *ring, unsigned int sq_entries,
				  unsigned int cq_entries)
{
	struct io_uring_params p = {
		.flags		= IORING_SETUP_CQSIZE,
		.sq_entries	= sq_entries,
		.cq_entries	= cq_entries,
	};
	struct io_uring old = *ring;
	int fd = ring->ring_fd, ret;

	ret = iou_register(ring, IORING_REGISTER_RESIZE_RINGS, &p, 1);
	if (ret)
		return ret;
	munmap(ring->sq.sqes, *ring->sq.kring_entries *
			      sizeof(struct io_uring_sqe));
	munmap(ring->sq.ring_ptr, ring->sq.ring_sz);
	p.features = old.features;
	ret = io_uring_queue_mmap(fd, &p, ring);
	if (ret)
		return ret;
	ring->ring_fd = fd;
	ring->enter_ring_fd = fd;
	ring->flags = old.flags;
	ring->features = old.features;
	ring->sq.sqe_tail = *ring->sq.ktail;
	ring->sq.sqe_head = ring->sq.sqe_tail;
	for (unsigned int i = 0; i < p.sq_entries; i++)
		ring->sq.array[i] = i;
	/*
	 * the kernel may have missed the flag, which stays set without
	 * TASKRUN_FLAG
	 */
	__atomic_fetch_and(ring->sq.kflags, ~IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
	return 0;
}

/* Apply everything that a ring of this mode can undergo before its use */
#define IOU_SHAPED	(1U << 31)

static inline int iou_ring_init_shaped(struct io_uring *ring,
				       unsigned int entries,
				       struct io_uring_params *p)
{
	unsigned int flags = (p->flags & ~IOU_SHAPED) | IORING_SETUP_R_DISABLED;
	bool defer = flags & IORING_SETUP_DEFER_TASKRUN;
	bool sqpoll = flags & IORING_SETUP_SQPOLL;
	/*
	 * Share the SQ thread until the process exits. The thread then takes 8
	 * SQEs of a ring at a time, and a longer chain ends there.
	 */
	static struct io_uring other;
	int ret;

	if (!defer)
		flags |= IORING_SETUP_NO_SQARRAY;
	if (!defer && !sqpoll)
		flags |= IORING_SETUP_SQ_REWIND;
	p->flags = flags;
	ret = iou_ring_init_raw(ring, entries, p) ?: iou_enable_ring(ring);
	if (!ret && defer)
		ret = iou_resize_ring(ring, entries, p->cq_entries);
	if (!ret && sqpoll) {
		struct io_uring_params shared = {
			.flags		= IORING_SETUP_SQPOLL |
					  IORING_SETUP_ATTACH_WQ,
			.wq_fd		= ring->ring_fd,
			.sq_thread_idle	= p->sq_thread_idle,
		};

		ret = io_uring_queue_init_params(1, &other, &shared);
	}
	if (ret)
		return ret;
	return io_uring_register_ring_fd(ring) == 1 ? 0 : -EINVAL;
}

static inline int iou_ring_init_size(struct io_uring *ring, unsigned int flags,
				     unsigned int entries,
				     unsigned int cq_entries)
{
	struct io_uring_params p = {
		.flags		= flags | IORING_SETUP_SUBMIT_ALL |
				  IORING_SETUP_CQSIZE,
		.cq_entries	= cq_entries,
		/* an SQ thread that spins would slow down an emulated CPU */
		.sq_thread_idle	= 1,
	};

	if (flags & IOU_SHAPED)
		return iou_ring_init_shaped(ring, entries, &p);
	return io_uring_queue_init_params(entries, ring, &p);
}

static inline int iou_ring_init(struct io_uring *ring, unsigned int flags)
{
	return iou_ring_init_size(ring, flags, IOU_ENTRIES, 2 * IOU_ENTRIES);
}

/*
 * Set up a ring on which only these opcodes are permitted. Return 0 or an
 * error.
 */
static inline int iou_ring_init_only(struct io_uring *ring, unsigned int setup,
				     const __u8 *ops, unsigned int nr)
{
	struct io_uring_restriction res[8] = {};
	int ret;

	for (unsigned int i = 0; i < nr; i++) {
		res[i].opcode = IORING_RESTRICTION_SQE_OP;
		res[i].sqe_op = ops[i];
	}
	/* a shape requires that the ring is enabled */
	setup &= ~IOU_SHAPED;
	ret = iou_ring_init(ring, setup | IORING_SETUP_R_DISABLED) ?:
	      iou_register(ring, IORING_REGISTER_RESTRICTIONS, res, nr);
	return ret ?: iou_enable_ring(ring);
}

/* Submit on a ring whose SQ starts from its beginning with each submission. */
static inline int iou_submit_rewind(struct io_uring *ring)
{
	unsigned int nr = ring->sq.sqe_tail - ring->sq.sqe_head;

	ring->sq.sqe_head = 0;
	ring->sq.sqe_tail = 0;
	return io_uring_enter(ring->ring_fd, nr, 0, 0, NULL);
}

/* Submit, and let an SQ thread consume all SQEs before the return. */
static inline int iou_submit(struct io_uring *ring)
{
	/* the thread can have consumed SQEs before the library counted them */
	unsigned int nr = ring->sq.sqe_tail - ring->sq.sqe_head;
	int ret;

	if (ring->flags & IORING_SETUP_SQ_REWIND)
		return iou_submit_rewind(ring);
	ret = io_uring_submit(ring);
	if (ret < 0 || !(ring->flags & IORING_SETUP_SQPOLL))
		return ret;
	while (io_uring_sq_ready(ring))
		usleep(100);
	return nr;
}

/* Return a zeroed SQE. Submit pending SQEs if the SQ is full. */
static inline struct io_uring_sqe *iou_get_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe) {
		iou_submit(ring);
		sqe = io_uring_get_sqe(ring);
	}
	if (!sqe)
		abort();
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

#endif
