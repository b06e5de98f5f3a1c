// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that programs stage in a flush within the handler of another
 * request: none of them is lost.
 */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "nested.skel.h"

#include <sys/socket.h>
#include <sys/un.h>

#define ACCEPT	0xacceULL
#define STAGED	0x57a6edULL
#define IDLE	0x1d1eULL
#define FLOW	0xf10aULL

FIXTURE(nested) {
	struct io_uring ring;
	struct nested *skel;
	struct bpf_link *watch;
	struct bpf_link *idle;
	int pipe[2];
	int listen;
	int clients[2];
};

IOU_MODE_VARIANTS(nested);
IOU_LOAD_ONCE(nested);

/*
 * Two connections are pending, so the accept posts two CQEs during the issue.
 */
static int listen_and_connect(FIXTURE_DATA(nested) *self)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);

	self->listen = socket(AF_UNIX, SOCK_STREAM, 0);
	/* an unused abstract address */
	if (bind(self->listen, (void *)&a, sizeof(a.sun_family)) ||
	    listen(self->listen, 4) || getsockname(self->listen, (void *)&a, &len))
		return -errno;
	for (int i = 0; i < 2; i++) {
		self->clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(self->clients[i], (void *)&a, len))
			return -errno;
	}
	return 0;
}

FIXTURE_SETUP(nested)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, listen_and_connect(self));
	self->skel = nested_get();
	ASSERT_NE(NULL, self->skel);
	self->skel->bss->idle_fd = self->pipe[0];
	self->skel->bss->staged_ud = STAGED;
	self->skel->bss->idle_ud = IDLE;
	self->idle = IOU_ATTACH(self->skel->progs.nested_idle, &self->ring, 1);
}

FIXTURE_TEARDOWN(nested)
{
	bpf_link__destroy(self->watch);
	bpf_link__destroy(self->idle);
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->listen);
	close(self->clients[0]);
	close(self->clients[1]);
	io_uring_queue_exit(&self->ring);
}

/* The next request of the submission is a flow, which causes an early flush. */
TEST_F(nested, issued_by_watcher)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH,
		    .opcodes = { 1ULL << IORING_OP_ACCEPT });
	struct io_uring_sqe *sqe;

	self->watch = bpf_program__attach_iouring(self->skel->progs.nested_watch,
						  self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->watch);
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_multishot_accept(sqe, self->listen, NULL, NULL, 0);
	sqe->user_data = ACCEPT;
	iou_queue_bpf(&self->ring, 1, FLOW);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, STAGED, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_aux);
	ASSERT_EQ(0, self->skel->data->ret);
}

TEST_HARNESS_MAIN
