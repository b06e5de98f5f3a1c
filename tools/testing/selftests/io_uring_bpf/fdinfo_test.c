// SPDX-License-Identifier: GPL-2.0
/* Programs and their counters in the fdinfo of a ring */
#include "fdinfo.h"

#include <sys/eventfd.h>

#include "loopback.h"

#define HOPS	100

/* The line of slot 0, with a program of flows */
#define ASSERT_COUNTS(runs, issued, dropped, refused)			\
	ASSERT_SHOWN("    0: prog:%u, name:fdinfo_flow, runs:%d, "	\
		     "issued:%d, dropped:%d, refused:%d\n",		\
		     fdinfo_prog_id(self->skel->progs.fdinfo_flow),	\
		     runs, issued, dropped, refused)

/* The line of slot 7, with a program that watches */
#define ASSERT_WATCH_COUNTS(prog, runs, issued, dropped, refused)	\
	ASSERT_SHOWN("    7: watch:%u, name:%.15s, runs:%d, "		\
		     "issued:%d, dropped:%d, refused:%d\n",		\
		     fdinfo_prog_id(prog), bpf_program__name(prog),	\
		     runs, issued, dropped, refused)

TEST_F_TIMEOUT(fdinfo, no_program, FDINFO_LIMIT)
{
	ASSERT_NOT_SHOWN("\nBpf");
	fdinfo_attach(self, 3);
	ASSERT_SHOWN("BpfProgs:\n    3: prog:%u, name:fdinfo_flow, runs:0, "
		     "issued:0, dropped:0, refused:0\nBpfFlows:\t0\nBpfChildren:\n",
		     fdinfo_prog_id(self->skel->progs.fdinfo_flow));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_SHOWN("BpfProgs:\nBpfFlows:\t0\nBpfChildren:\n");
}

/* Each event is a run, each child is issued, and only one CQE is posted. */
TEST_F_TIMEOUT(fdinfo, flow, FDINFO_LIMIT)
{
	fdinfo_attach(self, 0);
	for (int i = 0; i < 3; i++)
		fdinfo_add(self)->nop_flags |= i == 1 ? IORING_NOP_TW : 0;
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_COUNTS(4, 3, 3, 0);

	self->skel->bss->nr_sqes = 1;
	self->skel->bss->verdict = BPF_IO_URING_POST;
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_CQE(&self->ring, CHILD, 0);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_COUNTS(6, 4, 3, 0);
	/* BPF_IO_URING_CANCEL is an event as well */
	self->skel->bss->nr_sqes = 0;
	fdinfo_add_read(self);
	self->skel->bss->verdict = 0;
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_COUNTS(7, 5, 3, 0);
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_COUNTS(9, 5, 4, 0);
}

static void count_hops(struct __test_metadata *_metadata, FIXTURE_DATA(fdinfo) *self,
		       bool again)
{
	fdinfo_attach(self, 0);
	fdinfo_add(self);
	self->skel->bss->again = again;
	self->skel->bss->hops = HOPS;
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_COUNTS(HOPS + 2, HOPS + 1, HOPS + 1, 0);
}

TEST_F_TIMEOUT(fdinfo, hops, FDINFO_LIMIT)
{
	count_hops(_metadata, self, false);
}

TEST_F_TIMEOUT(fdinfo, hops_again, FDINFO_LIMIT)
{
	count_hops(_metadata, self, true);
}

/* One request, and several CQEs that are not posted. */
TEST_F_TIMEOUT(fdinfo, multishot, FDINFO_LIMIT)
{
	int fd = eventfd(0, 0);
	struct io_uring_sqe *sqe;

	ASSERT_LE(0, fd);
	fdinfo_attach(self, 0);
	sqe = fdinfo_add(self);
	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	ASSERT_TRUE(fdinfo_start(self, 1));
	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(0, eventfd_write(fd, 1));
		ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 1 + i));
		ASSERT_COUNTS(1 + i, 1, i, 0);
	}
	close(fd);
}

/* One request, and a notification that is no request of its own. */
TEST_F_TIMEOUT(fdinfo, zero_copy, FDINFO_LIMIT)
{
	struct sockaddr_in addr = {
		.sin_family	= AF_INET,
		.sin_addr	= { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(addr);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, loopback_up(fd));
	ASSERT_EQ(0, bind(fd, (void *)&addr, len));
	ASSERT_EQ(0, getsockname(fd, (void *)&addr, &len));
	ASSERT_EQ(0, connect(fd, (void *)&addr, len));
	fdinfo_attach(self, 0);
	io_uring_prep_send_zc(fdinfo_add(self), fd, self->buf, 1, 0, 0);
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_COUNTS(3, 1, 2, 0);
	close(fd);
}

TEST_F_TIMEOUT(fdinfo, refused, FDINFO_LIMIT)
{
	fdinfo_attach(self, 0);
	self->skel->bss->nr_refused = 2;
	fdinfo_add(self);
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_COUNTS(2, 1, 1, 4);
}

/* Requests that post their own CQEs. */
TEST_F_TIMEOUT(fdinfo, requests_of_the_application, FDINFO_LIMIT)
{
	struct io_uring_cqe cqes[3];

	fdinfo_attach(self, 0);
	self->skel->bss->nr_apps = 2;
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_COUNTS(1, 2, 0, 0);
}

/* The program drops the CQE of a request of the application. */
TEST_F_TIMEOUT(fdinfo, request_before_the_flow, FDINFO_LIMIT)
{
	struct io_uring_sqe *sqe;

	fdinfo_attach(self, 0);
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	for (int i = 1; i <= 2; i++) {
		sqe = iou_get_sqe(&self->ring);
		iou_prep_nop(sqe, 0, 0, 1);
		/* the application drops the second one itself */
		sqe->flags = IOSQE_IO_LINK | (i == 2 ? IOSQE_CQE_SKIP_SUCCESS : 0);
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_COUNTS(i, 0, 1, 0);
	}
}

static void count_watched(struct __test_metadata *_metadata,
			  FIXTURE_DATA(fdinfo) *self, struct bpf_program *prog)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 7,
		    .flags = BPF_F_IOURING_MATCH,
		    .user_data = CHILD, .user_data_mask = ~0ULL);
	struct io_uring_cqe cqes[3];

	self->link = bpf_program__attach_iouring(prog, self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	for (int i = 0; i < 3; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, i ? CHILD : 1);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_WATCH_COUNTS(prog, 2, 0, 0, 0);

	self->skel->bss->verdict = BPF_IO_URING_DROP;
	self->skel->bss->nr_refused = 3;
	self->skel->bss->nr_apps = 1;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, CHILD);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, 0, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_WATCH_COUNTS(prog, 3, 1, 1, 3);

	/* an update goes on counting, another link does not */
	ASSERT_EQ(0, bpf_link__update_program(self->link, prog));
	ASSERT_WATCH_COUNTS(prog, 3, 1, 1, 3);
	ASSERT_EQ(0, bpf_link__destroy(self->link));
	self->link = bpf_program__attach_iouring(prog, self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	ASSERT_WATCH_COUNTS(prog, 0, 0, 0, 0);
}

TEST_F_TIMEOUT(fdinfo, watch_plain, FDINFO_LIMIT)
{
	count_watched(_metadata, self, self->skel->progs.fdinfo_watch);
}

TEST_F_TIMEOUT(fdinfo, watch, FDINFO_LIMIT)
{
	count_watched(_metadata, self, self->skel->progs.fdinfo_watch_state);
}

TEST_F_TIMEOUT(fdinfo, update, FDINFO_LIMIT)
{
	fdinfo_attach(self, 0);
	ASSERT_TRUE(fdinfo_start(self, 2));
	ASSERT_COUNTS(2, 0, 0, 0);
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.fdinfo_flow));
	ASSERT_COUNTS(2, 0, 0, 0);
	ASSERT_EQ(0, bpf_link__destroy(self->link));
	fdinfo_attach(self, 0);
	ASSERT_COUNTS(0, 0, 0, 0);
}

TEST_HARNESS_MAIN
