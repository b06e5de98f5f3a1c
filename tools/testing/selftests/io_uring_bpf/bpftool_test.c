// SPDX-License-Identifier: GPL-2.0
/* Output of bpftool for a program and its link to a ring */
#include "iou_bpf.h"

#include <sys/stat.h>

#include "kselftest_harness.h"
#include "flow.skel.h"

#define SLOT	3
/* in seconds, for a large program on an emulated machine */
#define LIMIT	180

FIXTURE(bpftool) {
	struct io_uring ring;
	struct flow *skel;
	struct bpf_link *link;
	char tool[256];
	char out[4096];
	__u32 prog_id;
	__u32 link_id;
	unsigned long long ring_ino;
};

/* Return the bpftool beside the test, or that of $BPFTOOL. */
static bool find_bpftool(FIXTURE_DATA(bpftool) *self)
{
	const char *env = getenv("BPFTOOL");
	char self_path[200];
	ssize_t len;

	if (env) {
		snprintf(self->tool, sizeof(self->tool), "%s", env);
		return !access(self->tool, X_OK);
	}
	len = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	if (len < 0)
		return false;
	self_path[len] = '\0';
	*strrchr(self_path, '/') = '\0';
	snprintf(self->tool, sizeof(self->tool), "%s/bpftool", self_path);
	return !access(self->tool, X_OK);
}

IOU_LOAD_ONCE(flow);

FIXTURE_SETUP(bpftool)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = SLOT, .flow_size = 48);
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct stat st;

	IOU_REQUIRE();
	if (!find_bpftool(self))
		SKIP(return, "no bpftool");
	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	self->skel = flow_get();
	ASSERT_NE(NULL, self->skel);
	self->link = bpf_program__attach_iouring(self->skel->progs.flow_issue,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &info,
					     &len));
	self->link_id = info.id;
	self->prog_id = info.prog_id;
	ASSERT_EQ(0, fstat(self->ring.ring_fd, &st));
	self->ring_ino = st.st_ino;
}

FIXTURE_TEARDOWN(bpftool)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

/*
 * Run bpftool. Ignore the exit status: "link show id" ends with an error for
 * any link.
 */
static void run(FIXTURE_DATA(bpftool) *self, const char *what, __u32 id)
{
	char cmd[512];
	size_t len;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "%s %s id %u 2>&1", self->tool, what, id);
	f = popen(cmd, "r");
	if (!f)
		return;
	len = fread(self->out, 1, sizeof(self->out) - 1, f);
	self->out[len] = '\0';
	pclose(f);
}

#define ASSERT_SHOWS(...) do {						\
	char __text[256];						\
									\
	snprintf(__text, sizeof(__text), __VA_ARGS__);			\
	ASSERT_NE(NULL, strstr(self->out, __text))			\
		TH_LOG("\"%s\" is not in: %s", __text, self->out);	\
} while (0)

TEST_F_TIMEOUT(bpftool, prog, LIMIT)
{
	run(self, "prog show", self->prog_id);
	ASSERT_SHOWS(": iouring  name flow_issue");
}

/* The runs that kernel.bpf_stats_enabled counts */
TEST_F_TIMEOUT(bpftool, prog_stats, LIMIT)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	ASSERT_LE(0, fd);
	for (int i = 0; i < 3; i++) {
		iou_queue_bpf(&self->ring, SLOT, 1);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, 1, 0);
	}
	run(self, "prog show", self->prog_id);
	ASSERT_SHOWS(" run_cnt 3");
	run(self, "-j prog show", self->prog_id);
	ASSERT_SHOWS("\"type\":\"iouring\"");
	ASSERT_SHOWS("\"run_cnt\":3");
	close(fd);
}

TEST_F_TIMEOUT(bpftool, link_plain, LIMIT)
{
	run(self, "link show", self->link_id);
	ASSERT_SHOWS(": iouring  prog ");
	ASSERT_SHOWS("ring_ino %llu  slot 3  flow_size 48", self->ring_ino);
}

TEST_F_TIMEOUT(bpftool, link_json, LIMIT)
{
	run(self, "-j link show", self->link_id);
	ASSERT_SHOWS("\"type\":\"iouring\"");
	ASSERT_SHOWS("\"ring_ino\":%llu,\"slot\":3", self->ring_ino);
	ASSERT_SHOWS("\"flow_size\":48");
}

TEST_F_TIMEOUT(bpftool, watch, LIMIT)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = SLOT + 1,
		    .flags = BPF_F_IOURING_MATCH, .opcodes = { 1 << IORING_OP_READ },
		    .user_data = 0x12, .user_data_mask = 0xff);
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	bpf_link__destroy(self->link);
	self->link = bpf_program__attach_iouring(self->skel->progs.flow_issue,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &info, &len));
	run(self, "link show", info.id);
	ASSERT_SHOWS("ring_ino %llu  slot 4  flags 0x1  opcodes 0x%x 0x0  user_data 0x12/0xff",
		     self->ring_ino, 1 << IORING_OP_READ);
	run(self, "-j link show", info.id);
	ASSERT_SHOWS("\"ring_ino\":%llu,\"slot\":4", self->ring_ino);
	ASSERT_SHOWS("\"opcodes\":[\"0x%x\",\"0x0\"],\"user_data\":18,"
		     "\"user_data_mask\":255", 1 << IORING_OP_READ);
}

/* A detached link is still shown. */
TEST_F_TIMEOUT(bpftool, detach, LIMIT)
{
	struct bpf_link *again;

	run(self, "link detach", self->link_id);
	run(self, "link show", self->link_id);
	ASSERT_SHOWS("ring_ino 0  slot 3");
	again = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, SLOT);
	bpf_link__destroy(again);
}

TEST_HARNESS_MAIN
