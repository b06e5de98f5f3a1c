// SPDX-License-Identifier: GPL-2.0
/*
 * Operations that an LSM denies to the application are denied to its programs,
 * including those in an SQ thread or a worker: the child fails.
 */
#include "iou_bpf.h"

#include <linux/lsm.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "flow.skel.h"
#include "lsm.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa44ULL

#define NOBODY	65534

FIXTURE(lsm) {
	struct io_uring ring;
	struct flow *skel;
	struct lsm *lsm;
	struct bpf_link *link;
	int sock[2];
	int fd;
	char path[128];
};

IOU_MODE_VARIANTS(lsm);
IOU_LOAD_ONCE(flow);
IOU_LOAD_ONCE(lsm);

/*
 * Programs can be attached to the hooks even if the kernel does not call them.
 */
static bool lsm_bpf_is_active(void)
{
	__u64 ids[32];
	__u32 size = sizeof(ids);
	int nr;

	nr = syscall(__NR_lsm_list_modules, ids, &size, 0);
	for (int i = 0; i < nr; i++) {
		if (ids[i] == LSM_ID_BPF)
			return true;
	}
	return false;
}

FIXTURE_SETUP(lsm)
{
	const char *dir = getenv("TMPDIR") ?: "/tmp";

	IOU_REQUIRE();
	if (!lsm_bpf_is_active())
		SKIP(return, "no LSM \"bpf\", is it in CONFIG_LSM or lsm=?");
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sock));
	snprintf(self->path, sizeof(self->path), "%s/iou_bpf.XXXXXX", dir);
	self->fd = mkstemp(self->path);
	ASSERT_LE(0, self->fd);

	self->skel = flow_get();
	self->lsm = lsm_get();
	ASSERT_TRUE(self->skel && self->lsm);
	self->lsm->bss->tgid = getpid();
	ASSERT_EQ(0, lsm__attach(self->lsm));
	self->link = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, 0);
}

FIXTURE_TEARDOWN(lsm)
{
	bpf_link__destroy(self->link);
	lsm__detach(self->lsm);
	io_uring_queue_exit(&self->ring);
	close(self->sock[0]);
	close(self->sock[1]);
	close(self->fd);
	unlink(self->path);
}

/* The denied request, as a child and of the application */
static struct io_uring_sqe *lsm_sqe(FIXTURE_DATA(lsm) *self)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];

	memset(sqe, 0, sizeof(*sqe));
	self->skel->bss->nr_sqes = 1;
	return sqe;
}

/* An open has succeeded if it returns a file. */
static int lsm_result(FIXTURE_DATA(lsm) *self, int res)
{
	if (self->skel->bss->sqes[0].opcode != IORING_OP_OPENAT || res < 0)
		return res;
	close(res);
	return 0;
}

static int lsm_run_child(struct __test_metadata *_metadata,
			 FIXTURE_DATA(lsm) *self)
{
	struct iou_event *ev = &self->skel->bss->events[1];
	struct io_uring_cqe cqe;

	self->skel->bss->sqes[0].user_data = CHILD;
	self->skel->bss->nr_events = 0;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(FLOW, cqe.user_data);
	ASSERT_EQ(0, self->skel->bss->rets[0]);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(CHILD, ev->user_data);
	ASSERT_EQ(BPF_IO_URING_COMPLETE, ev->event);
	ASSERT_EQ(ev->res < 0 ? ev->res : 0, cqe.res);
	return lsm_result(self, ev->res);
}

static int lsm_run_app(struct __test_metadata *_metadata,
		       FIXTURE_DATA(lsm) *self)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);
	struct io_uring_cqe cqe;

	*sqe = self->skel->bss->sqes[0];
	sqe->user_data = APP;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(APP, cqe.user_data);
	return lsm_result(self, cqe.res);
}

#define lsm_expect(res) do {						\
	ASSERT_EQ(res, lsm_run_app(_metadata, self));			\
	ASSERT_EQ(res, lsm_run_child(_metadata, self));			\
} while (0)

/* In place, if the path is cached, and in a worker */
TEST_F(lsm, file_open)
{
	struct io_uring_sqe *sqe = lsm_sqe(self);
	struct stat st;

	ASSERT_EQ(0, fstat(self->fd, &st));
	io_uring_prep_openat(sqe, AT_FDCWD, self->path, O_RDONLY, 0);
	for (int async = 0; async < 2; async++) {
		sqe->flags = async ? IOSQE_ASYNC : 0;
		self->lsm->bss->ino = 0;
		lsm_expect(0);
		self->lsm->bss->ino = st.st_ino;
		lsm_expect(-EPERM);
	}
}

/* Credentials that the task may have, but must not use */
TEST_F(lsm, override_creds)
{
	struct io_uring_sqe *sqe = lsm_sqe(self);
	int root, nobody;

	root = io_uring_register_personality(&self->ring);
	ASSERT_EQ(0, seteuid(NOBODY));
	nobody = io_uring_register_personality(&self->ring);
	ASSERT_EQ(0, seteuid(0));
	ASSERT_TRUE(root > 0 && nobody > 0);
	iou_prep_nop(sqe, 7, 0, 0);
	sqe->personality = nobody;
	lsm_expect(7);
	self->lsm->bss->euid = NOBODY;
	lsm_expect(-EPERM);
	sqe->personality = root;
	lsm_expect(7);
}

TEST_F(lsm, uring_cmd)
{
	struct io_uring_sqe *sqe = lsm_sqe(self);
	int type;

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = self->sock[0];
	sqe->cmd_op = SOCKET_URING_OP_GETSOCKOPT;
	sqe->level = SOL_SOCKET;
	sqe->optname = SO_TYPE;
	sqe->optlen = sizeof(type);
	sqe->optval = (unsigned long)&type;
	for (int async = 0; async < 2; async++) {
		sqe->flags = async ? IOSQE_ASYNC : 0;
		self->lsm->bss->cmd_op = 0;
		type = 0;
		lsm_expect(sizeof(type));
		ASSERT_EQ(SOCK_STREAM, type);
		self->lsm->bss->cmd_op = SOCKET_URING_OP_GETSOCKOPT;
		type = 0;
		lsm_expect(-EPERM);
		ASSERT_EQ(0, type);
	}
}

TEST_HARNESS_MAIN
