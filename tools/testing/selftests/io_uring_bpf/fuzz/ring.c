// SPDX-License-Identifier: GPL-2.0
/* Rings with any setup flags, by plain system calls */
#include "env.h"

#include <sys/mman.h>
#include <sys/syscall.h>

int fz_ring_enter(struct fz_rings *r, unsigned int submit, unsigned int wait,
		  unsigned int flags, unsigned int ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000,
	};
	struct io_uring_getevents_arg arg = { .ts = (unsigned long)&ts };
	int ret, fd = r->fd;

	/* only the thread that registered a ring descriptor can use it */
	if (r->enter_flags && r->owner == gettid()) {
		flags |= r->enter_flags;
		fd = r->enter_fd;
	}

	if (wait || ms) {
		flags |= IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
		ret = syscall(__NR_io_uring_enter, fd, submit, wait, flags, &arg,
			      sizeof(arg));
	} else {
		ret = syscall(__NR_io_uring_enter, fd, submit, 0, flags, NULL, 0);
	}
	return ret < 0 ? -errno : ret;
}

int fz_ring_register(struct fz_rings *r, unsigned int op, void *arg,
		     unsigned int nr)
{
	unsigned int flag = r->setup & IORING_SETUP_REGISTERED_FD_ONLY ?
			    IORING_REGISTER_USE_REGISTERED_RING : 0;
	int ret = syscall(__NR_io_uring_register, r->fd, op | flag, arg, nr);

	return ret < 0 ? -errno : ret;
}

static int ring_map(struct fz_rings *r, int fd)
{
	struct io_uring_params *p = &r->p;
	size_t wide = r->setup & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED) ? 2 : 1;

	r->mem_size = p->cq_off.cqes + wide * p->cq_entries * sizeof(struct io_uring_cqe);
	if (!(r->setup & IORING_SETUP_NO_SQARRAY) &&
	    r->mem_size < p->sq_off.array + p->sq_entries * 4)
		r->mem_size = p->sq_off.array + p->sq_entries * 4;
	r->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe) *
		       (r->setup & IORING_SETUP_SQE128 ? 2 : 1);
	r->sq_entries = p->sq_entries;
	r->cq_entries = p->cq_entries;
	if (r->setup & IORING_SETUP_NO_MMAP)
		return 0;
	r->mem = mmap(NULL, r->mem_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, r->sqes_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
	return r->mem == MAP_FAILED || r->sqes == MAP_FAILED ? -ENOMEM : 0;
}

static void ring_array(struct fz_rings *r)
{
	unsigned int i;

	if (r->setup & IORING_SETUP_NO_SQARRAY)
		return;
	for (i = 0; i < r->sq_entries; i++)
		((__u32 *)(r->mem + r->p.sq_off.array))[i] = i;
}

static int ring_setup(struct fz_env *e, struct fz_rings *r,
		      const struct fz_ring *c)
{
	struct io_uring_params *p = &r->p;
	int fd;

	p->flags = c->setup | IORING_SETUP_CQSIZE;
	p->cq_entries = c->cq_entries;
	/* only the thread that creates such a ring can enter it to wake up the SQ thread */
	p->sq_thread_idle = c->setup & IORING_SETUP_REGISTERED_FD_ONLY ? 60000 : 1;
	if (c->setup & IORING_SETUP_NO_MMAP) {
		/* fz_gen_limits() limits the sizes: one page for the CQ, two for the SQEs */
		r->mem = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		r->sqes = r->mem + 4096;
		p->cq_off.user_addr = (unsigned long)r->mem;
		p->sq_off.user_addr = (unsigned long)r->sqes;
	}
	if (c->attach_wq && e->rings[0].alive &&
	    !(e->rings[0].setup & IORING_SETUP_REGISTERED_FD_ONLY)) {
		p->flags |= IORING_SETUP_ATTACH_WQ;
		p->wq_fd = e->rings[0].fd;
	}
	fd = syscall(__NR_io_uring_setup, c->entries, p);
	if (fd < 0)
		return -errno;
	r->fd = fd;
	r->enter_fd = fd;
	r->setup = c->setup;
	r->owner = gettid();
	r->alive = true;
	if (c->setup & IORING_SETUP_REGISTERED_FD_ONLY)
		r->enter_flags = IORING_ENTER_REGISTERED_RING;
	return ring_map(r, fd);
}

/* Register files. The last slot keeps the pipe open as long as the ring exists. */
static int ring_files(struct fz_env *e, struct fz_rings *r, int lifeline)
{
	struct io_uring_rsrc_register reg = {
		.nr = TABLE_NR,
		.flags = IORING_RSRC_REGISTER_SPARSE,
	};
	__s32 fds[TABLE_NR];
	struct io_uring_rsrc_update2 up = { .data = (unsigned long)fds };
	int i, ret;

	for (i = 0; i < TABLE_NR; i++)
		fds[i] = i < FD_IN_TABLE ? e->fds[i] : -1;
	fds[TABLE_LIFELINE] = lifeline;
	ret = fz_ring_register(r, IORING_REGISTER_FILES2, &reg, sizeof(reg));
	if (ret)
		return ret;
	for (i = 0; i < TABLE_NR; i++) {
		if (fds[i] < 0)
			continue;
		up.offset = i;
		up.data = (unsigned long)&fds[i];
		up.nr = 1;
		fz_ring_register(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up));
	}
	return 0;
}

int fz_ring_buffers(struct fz_env *e, struct fz_rings *r)
{
	struct iovec iov[FZ_BUF_OWN + 1] = {
		{ e->mem->data[0], 8192 },
		/* the memory of the ring: a program may move the head of the CQ */
		{ r->mem, 4096 },
		{ e->mem->data[4], 4096 },
		{ NULL, 0 },
		{ e->mem->known, FZ_BUF_SIZE },
		{ e->mem->own[r - e->rings], FZ_BUF_SIZE },
	};

	return fz_ring_register(r, IORING_REGISTER_BUFFERS, iov, ARRAY_SIZE(iov));
}

static void ring_provide(struct fz_env *e, struct fz_rings *r, __u16 bgid, __u16 flags)
{
	struct io_uring_buf_ring *br;
	struct io_uring_buf_reg reg = { .ring_entries = 8, .bgid = bgid, .flags = flags };
	int i;

	br = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		  -1, 0);
	reg.ring_addr = (unsigned long)br;
	if (fz_ring_register(r, IORING_REGISTER_PBUF_RING, &reg, 1))
		return;
	for (i = 0; i < 8; i++) {
		struct io_uring_buf *b = (struct io_uring_buf *)br + i;

		b->addr = (unsigned long)e->mem->provided[bgid][i];
		b->len = i & 1 ? 16 : 256;
		b->bid = i;
	}
	__atomic_store_n(&br->tail, 8, __ATOMIC_RELEASE);
}

static int ring_restrict(struct fz_rings *r)
{
	static const __u8 not[] = { IORING_OP_OPENAT, IORING_OP_SOCKET,
				    IORING_OP_TIMEOUT };
	struct io_uring_restriction res[IORING_OP_LAST + 1];
	unsigned int i, n = 0;

	memset(res, 0, sizeof(res));
	for (i = 0; i < IORING_OP_LAST; i++) {
		if (memchr(not, i, sizeof(not)))
			continue;
		res[n].opcode = IORING_RESTRICTION_SQE_OP;
		res[n++].sqe_op = i;
	}
	res[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	res[n++].sqe_flags = 0xff;
	return fz_ring_register(r, IORING_REGISTER_RESTRICTIONS, res, n);
}

static void ring_personalities(struct fz_rings *r)
{
	/* personality 1 is root, 2 is uid 1001 */
	r->personality[0] = fz_ring_register(r, IORING_REGISTER_PERSONALITY, NULL, 0);
	if (syscall(__NR_setresuid, 1001, -1, -1))
		return;
	r->personality[1] = fz_ring_register(r, IORING_REGISTER_PERSONALITY, NULL, 0);
	if (syscall(__NR_setresuid, 0, -1, -1))
		return;
}

int fz_ring_init(struct fz_env *e, unsigned int nr, int lifeline)
{
	const struct fz_ring *c = &e->c->rings[nr];
	struct fz_rings *r = &e->rings[nr];
	struct io_uring_rsrc_update up = { .offset = -1U };
	int ret;

	/* a shared SQ thread assumes the credentials of the creator of each ring */
	if (c->attach_wq && !syscall(__NR_setresuid, 1002, -1, -1))
		r->sq_uid = 1002;
	ret = ring_setup(e, r, c);
	if (r->sq_uid && syscall(__NR_setresuid, 0, -1, -1))
		return -errno;
	if (ret)
		return ret;
	ring_array(r);
	pthread_mutex_init(&r->sq_lock, NULL);
	pthread_mutex_init(&r->cq_lock, NULL);
	ring_personalities(r);
	e->fds[FD_RING0 + nr] = c->setup & IORING_SETUP_REGISTERED_FD_ONLY ? -1 : r->fd;
	ring_files(e, r, lifeline);
	r->buffers = !fz_ring_buffers(e, r);
	ring_provide(e, r, BGID_RING, 0);
	ring_provide(e, r, BGID_INC, IOU_PBUF_RING_INC);
	if (c->restricted && (c->setup & IORING_SETUP_R_DISABLED))
		ring_restrict(r);
	if (c->setup & IORING_SETUP_R_DISABLED)
		fz_ring_register(r, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (c->registered_fd && !r->enter_flags) {
		up.data = r->fd;
		if (fz_ring_register(r, IORING_REGISTER_RING_FDS, &up, 1) == 1) {
			r->enter_fd = up.offset;
			r->enter_flags = IORING_ENTER_REGISTERED_RING;
		}
	}
	/* the SQ thread sleeps at first, and no other thread can wake it up */
	if ((c->setup & IORING_SETUP_SQPOLL) &&
	    (c->setup & IORING_SETUP_REGISTERED_FD_ONLY))
		fz_ring_enter(r, 0, 0, IORING_ENTER_SQ_WAKEUP, 0);
	return 0;
}

struct io_uring_sqe *fz_ring_sqe(struct fz_rings *r, unsigned int n)
{
	__u32 tail = r->setup & IORING_SETUP_SQ_REWIND ? 0 :
		     load(r->mem + r->p.sq_off.tail);
	unsigned int i = (tail + n) & (r->sq_entries - 1);

	if (r->setup & IORING_SETUP_SQE128)
		i *= 2;
	return (struct io_uring_sqe *)r->sqes + i;
}

/*
 * Submit the next @nr SQEs, under r->sq_lock. Return the number of SQEs that the
 * kernel has consumed, or @nr if there is an SQ thread.
 */
int fz_ring_push(struct fz_rings *r, unsigned int nr)
{
	void *ktail = r->mem + r->p.sq_off.tail;
	void *khead = r->mem + r->p.sq_off.head;
	struct fz_limit limit = fz_limit(fz_ms(5000));
	__u32 tail;
	int ret;

	if (r->setup & IORING_SETUP_SQ_REWIND) {
		ret = fz_ring_enter(r, nr, 0, 0, 0);
		return ret < 0 ? 0 : ret;
	}
	tail = load(ktail);
	store(ktail, tail + nr);
	if (!(r->setup & IORING_SETUP_SQPOLL)) {
		ret = fz_ring_enter(r, nr, 0, 0, 0);
		if (ret < 0)
			ret = 0;
		store(ktail, tail + ret);
		return ret;
	}
	/* wait for the SQ thread, for a known order of events */
	while (load(khead) != tail + nr && fz_goes_on(&limit)) {
		if (load(r->mem + r->p.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
			fz_ring_enter(r, nr, 0, IORING_ENTER_SQ_WAKEUP, 0);
		usleep(200);
	}
	if (load(khead) != tail + nr) {
		fz_report("sqthread", "the SQ thread consumes no SQEs");
		r->alive = false;
	}
	return nr;
}

/* Reap all CQEs. Return their number. */
int fz_ring_reap(struct fz_env *e, struct fz_rings *r)
{
	bool wide = r->setup & IORING_SETUP_CQE32;
	int nr = 0;

	pthread_mutex_lock(&r->cq_lock);
	while (r->alive) {
		__u32 head = load(r->mem + r->p.cq_off.head), n = 1;
		struct io_uring_cqe *cqe, c;

		if (head == load(r->mem + r->p.cq_off.tail))
			break;
		cqe = (struct io_uring_cqe *)(r->mem + r->p.cq_off.cqes);
		cqe += (head & (r->cq_entries - 1)) << wide;
		c = *cqe;
		if ((r->setup & IORING_SETUP_CQE_MIXED) && (c.flags & IORING_CQE_F_32))
			n = 2;
		store(r->mem + r->p.cq_off.head, head + n);
		if ((r->setup & IORING_SETUP_CQE_MIXED) && (c.flags & IORING_CQE_F_SKIP))
			continue;
		nr++;
		fz_check_cqe(e, r, &c);
	}
	pthread_mutex_unlock(&r->cq_lock);
	return nr;
}

/* Return the length of the overflow list. */
unsigned int fz_ring_overflow(struct fz_rings *r)
{
	return r->setup & IORING_SETUP_REGISTERED_FD_ONLY ? 0 : iou_nr_overflowed(r->fd);
}

void fz_ring_close(struct fz_rings *r)
{
	pthread_mutex_lock(&r->sq_lock);
	pthread_mutex_lock(&r->cq_lock);
	if (r->alive) {
		r->alive = false;
		if (r->enter_flags) {
			struct io_uring_rsrc_update up = { .offset = r->enter_fd };

			syscall(__NR_io_uring_register,
				r->setup & IORING_SETUP_REGISTERED_FD_ONLY ? -1 : r->fd,
				IORING_UNREGISTER_RING_FDS, &up, 1);
		}
		if (!(r->setup & IORING_SETUP_REGISTERED_FD_ONLY))
			close(r->fd);
		if (!(r->setup & IORING_SETUP_NO_MMAP)) {
			munmap(r->mem, r->mem_size);
			munmap(r->sqes, r->sqes_size);
		}
	}
	pthread_mutex_unlock(&r->cq_lock);
	pthread_mutex_unlock(&r->sq_lock);
}

int fz_ring_resize(struct fz_rings *r, unsigned int sq, unsigned int cq)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_CQSIZE,
		.sq_entries = sq,
		.cq_entries = cq,
	};
	int ret = -EINVAL;

	if (r->setup & (IORING_SETUP_NO_MMAP | IORING_SETUP_NO_SQARRAY |
			IORING_SETUP_SQE128))
		return ret;
	pthread_mutex_lock(&r->sq_lock);
	pthread_mutex_lock(&r->cq_lock);
	if (r->alive)
		ret = fz_ring_register(r, IORING_REGISTER_RESIZE_RINGS, &p, 1);
	if (!ret) {
		munmap(r->mem, r->mem_size);
		munmap(r->sqes, r->sqes_size);
		r->p = p;
		r->alive = !ring_map(r, r->fd);
		if (r->alive)
			ring_array(r);
	}
	pthread_mutex_unlock(&r->cq_lock);
	pthread_mutex_unlock(&r->sq_lock);
	return ret;
}

int fz_ring_sync_cancel(struct fz_rings *r, __u64 ud, __u32 flags, int fd, __u8 op)
{
	struct io_uring_sync_cancel_reg reg = {
		.addr = ud,
		.fd = fd,
		.flags = flags,
		.opcode = op,
		.timeout = { .tv_nsec = 50000000 },
	};

	return fz_ring_register(r, IORING_REGISTER_SYNC_CANCEL, &reg, 1);
}
