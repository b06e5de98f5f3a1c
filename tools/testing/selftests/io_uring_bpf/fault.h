/* SPDX-License-Identifier: GPL-2.0 */
/* Injected allocation failures */
#ifndef IOU_FAULT_H
#define IOU_FAULT_H

#include "iou_bpf.h"
#include "iou_file.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "fault.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa44ULL

#define FAULT_DEBUGFS	"/sys/kernel/debug"

/* of this thread, kept open: to open them later could fail */
static int fault_nth_fd = -1, fault_task_fd = -1;

/* Open the files for the calling thread, and no other one afterwards. */
static inline bool fault_open(void)
{
	close(fault_nth_fd);
	close(fault_task_fd);
	fault_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	fault_task_fd = open("/proc/thread-self/make-it-fail", O_RDWR);
	return fault_nth_fd >= 0 && fault_task_fd >= 0;
}

/* injected failures so far */
static unsigned int fault_failed;

/* Let the @nth allocation of this thread from now on fail, none if 0. */
static inline void fault_nth(unsigned int nth)
{
	char value[16];
	int len;

	len = snprintf(value, sizeof(value), "%u", nth);
	if (pwrite(fault_nth_fd, value, len, 0) != len)
		abort();
}

/* Disable the injection. Return true if an allocation has failed. */
static inline bool fault_end(void)
{
	char value[16] = "";

	if (pread(fault_nth_fd, value, sizeof(value) - 1, 0) <= 0)
		abort();
	fault_nth(0);
	fault_failed += !atoi(value);
	return !atoi(value);
}

/* Let each allocation fail in turn, until none is left to fail. */
#define for_each_fault(nth)						\
	for (unsigned int nth = 1, __more = 1; __more; nth++)

#define FAULT(expr) ({							\
	__typeof__(expr) __ret;						\
									\
	fault_nth(nth);							\
	__ret = (expr);							\
	__more = fault_end();						\
	__ret;								\
})

/* more than there are; the rest is the counter */
#define FAULT_TIMES	1000000

/*
 * Let all allocations of this thread fail from now on, except the first @bytes.
 */
static inline void fault_all(unsigned int bytes)
{
	char value[16], times[16];

	snprintf(value, sizeof(value), "%u", bytes);
	snprintf(times, sizeof(times), "%u", FAULT_TIMES);
	if (iou_write_file(FAULT_DEBUGFS "/failslab/space", value) ||
	    iou_write_file(FAULT_DEBUGFS "/failslab/times", times) ||
	    pwrite(fault_task_fd, "1", 1, 0) != 1)
		abort();
}

/* Disable fault_all(). */
static inline void fault_all_end(void)
{
	char left[16] = "";
	int fd;

	if (pwrite(fault_task_fd, "0", 1, 0) != 1)
		abort();
	fd = open(FAULT_DEBUGFS "/failslab/times", O_RDWR);
	if (fd < 0 || read(fd, left, sizeof(left) - 1) <= 0 ||
	    write(fd, "0", 1) != 1)
		abort();
	close(fd);
	fault_failed += FAULT_TIMES - atoi(left);
}

/* Prepare the injection. Return the missing feature of the kernel, or NULL. */
static inline const char *fault_prepare(void)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc" };
	char name[128];

	if (!fault_open())
		return "no fail-nth, is CONFIG_FAULT_INJECTION set?";
	mount("debugfs", FAULT_DEBUGFS, "debugfs", 0, NULL);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		/* include allocations that can sleep, and do not log */
		snprintf(name, sizeof(name), FAULT_DEBUGFS
			 "/%s/ignore-gfp-wait", kinds[i]);
		if (iou_write_file(name, "N"))
			return "no CONFIG_FAULT_INJECTION_DEBUG_FS";
		snprintf(name, sizeof(name), FAULT_DEBUGFS "/%s/verbose",
			 kinds[i]);
		iou_write_file(name, "0");
	}
	iou_write_file(FAULT_DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N");
	iou_write_file(FAULT_DEBUGFS "/fail_page_alloc/min-order", "0");
	/* for fault_all(), which applies only to slabs */
	iou_write_file(FAULT_DEBUGFS "/failslab/task-filter", "Y");
	iou_write_file(FAULT_DEBUGFS "/failslab/times", "0");
	iou_write_file(FAULT_DEBUGFS "/failslab/probability", "100");
	iou_write_file(FAULT_DEBUGFS "/failslab/interval", "1");
	return NULL;
}

FIXTURE(fault) {
	struct io_uring ring;
	struct fault *skel;
	struct bpf_link *link;
	int pipe[2];
	int sock[2];
	char buf[256];
	struct iovec iov[16];
	struct msghdr msg;
	struct __kernel_timespec ts;
};

IOU_RING_VARIANTS(fault);
IOU_LOAD_ONCE(fault);

FIXTURE_SETUP(fault)
{
	const char *why;

	IOU_REQUIRE();
	/* avoid page faults, which need memory */
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	why = fault_prepare();
	if (why)
		SKIP(return, "%s", why);
	self->ring.ring_fd = -1;
	ASSERT_EQ(0, pipe2(self->pipe, O_NONBLOCK));
	ASSERT_EQ(0, fcntl(self->pipe[0], F_SETFL, 0));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sock));
	for (int i = 0; i < 16; i++)
		self->iov[i] = (struct iovec) { self->buf + i, 1 };
	self->msg.msg_iov = self->iov;
	self->msg.msg_iovlen = 16;
	self->skel = fault_get();
	ASSERT_NE(NULL, self->skel);
}

static inline void close_ring(FIXTURE_DATA(fault) *self)
{
	bpf_link__destroy(self->link);
	self->link = NULL;
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
	self->ring.ring_fd = -1;
}

FIXTURE_TEARDOWN(fault)
{
	TH_LOG("%u allocations have failed", fault_failed);
	EXPECT_LT(0, fault_failed);
	close_ring(self);
}

/* Set up a ring with empty caches. */
static inline int fresh_ring_size(FIXTURE_DATA(fault) *self, unsigned int setup,
				  unsigned int entries, struct bpf_program *prog)
{
	int ret;

	close_ring(self);
	ret = iou_ring_init_size(&self->ring, setup, entries, 2 * entries);
	if (ret || !prog)
		return ret;
	self->link = bpf_program__attach_iouring(prog, self->ring.ring_fd,
						 NULL);
	return self->link ? 0 : -errno;
}

static inline int fresh_ring(FIXTURE_DATA(fault) *self, unsigned int setup,
			     struct bpf_program *prog)
{
	return fresh_ring_size(self, setup, IOU_ENTRIES, prog);
}

/* Return the number of issued SQEs. */
static inline unsigned int nr_issued(FIXTURE_DATA(fault) *self)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < self->skel->bss->nr_sqes; i++)
		nr += !self->skel->bss->rets[i];
	return nr;
}

/* Return true for results of a failed allocation or a timeout. */
static inline bool no_memory(int res)
{
	/* -ECANCELED: there is no worker, and none can be created */
	return res == -ENOMEM || res == -ENOBUFS || res == -EAGAIN ||
	       res == -ECANCELED || res == -ETIME;
}

/*
 * Receive pending data: the socket is not ready to send once this exceeds a
 * quarter of the buffer.
 */
static inline void fault_drain(FIXTURE_DATA(fault) *self)
{
	char buf[64];

	while (recv(self->sock[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

/* Submit a flow and wait for it, as far as this succeeds. */
static inline int run_flow(FIXTURE_DATA(fault) *self, struct io_uring_cqe *cqe)
{
	int ret;

	iou_queue_bpf(&self->ring, 0, FLOW);
	ret = io_uring_submit(&self->ring);
	if (ret == 1)
		iou_wait_cqe_ms(&self->ring, cqe, 2 * IOU_IDLE_MS);
	return ret;
}

/*
 * Complete the rest with memory available. Return 0 if the flow has ended once.
 */
static inline int end_flow(FIXTURE_DATA(fault) *self, int submitted,
			   struct io_uring_cqe *cqe)
{
	struct io_uring_cqe other;
	int ret = 0;

	if (submitted != 1 && io_uring_submit(&self->ring) != 1)
		return -EIO;
	if (!cqe->user_data)
		ret = iou_wait_cqe(&self->ring, cqe);
	if (ret)
		return ret;
	if (cqe->user_data != FLOW ||
	    !iou_wait_cqe_ms(&self->ring, &other, IOU_IDLE_MS))
		return -EEXIST;
	return 0;
}

#endif
