// SPDX-License-Identifier: GPL-2.0
/* Tracepoints: runs of programs, refused kfuncs, and flows */
#include "trace.h"
#include "iou_until.h"
#include "process.h"

#include "kselftest_harness.h"
#include "trace.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa99ULL
#define SLOT	3

FIXTURE(tp) {
	struct io_uring ring;
	struct trace *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf[8];
};

IOU_RING_VARIANTS(tp);
IOU_LOAD_ONCE(trace);

static const char *const all[] = {
	"io_uring_bpf_run", "io_uring_bpf_kfunc", "io_uring_bpf_flow",
};

FIXTURE_SETUP(tp)
{
	const char *why;

	IOU_REQUIRE();
	why = trace_open();
	if (why)
		SKIP(return, "%s", why);
	for (int i = 0; i < 3; i++)
		ASSERT_TRUE(trace_enable(all[i], true));
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = trace_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(tp)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
	trace_close();
}

static struct io_uring_sqe *trace_add(FIXTURE_DATA(tp) *self)
{
	return &self->skel->bss->sqes[self->skel->bss->nr_sqes++];
}

static void trace_add_nop(FIXTURE_DATA(tp) *self, int res)
{
	iou_prep_nop(trace_add(self), res, IORING_NOP_TW, CHILD);
}

/* Waits for ever, unless somebody writes to the pipe. */
static void trace_add_read(FIXTURE_DATA(tp) *self)
{
	iou_prep_read(trace_add(self), self->pipe[0], self->buf, 1, 0, CHILD + 1);
}

#define trace_start(prog) do {						\
	self->link = IOU_ATTACH(self->skel->progs.prog, &self->ring, SLOT);\
	iou_queue_bpf(&self->ring, SLOT, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

#define trace_wait_events(nr)						\
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events >= (nr)))

/* The last event is the end of the flow. */
#define ASSERT_END(_fields)						\
	ASSERT_EVENT(nr_trace_lines - 1, "bpf_flow",			\
		     "flow 0,slot 3,user_data 0xf10a,state end," _fields)

TEST_F(tp, a_flow_with_a_child)
{
	ASSERT_TRUE(trace_enable("io_uring_submit_req", true));
	ASSERT_TRUE(trace_enable("io_uring_complete", true));
	trace_add_nop(self, 7);
	self->skel->bss->verdict = BPF_IO_URING_POST;
	self->skel->bss->new_res = 8;
	trace_start(trace_flow);
	ASSERT_CQE(&self->ring, CHILD, 8);
	ASSERT_CQE(&self->ring, FLOW, 0);

	ASSERT_EQ(8, trace_read());
	ASSERT_EVENT(0, "submit_req", "user_data 0xf10a,opcode BPF");
	ASSERT_EVENT(1, "bpf_flow", "flow 0,slot 3,user_data 0xf10a,state start");
	ASSERT_EVENT(1, "bpf_flow", "reason none,result 0");
	ASSERT_SAME(0, "req", 1, "req");
	ASSERT_EVENT(2, "bpf_run", "flow 0,slot 3,flow_data 0xf10a,user_data 0xf10a");
	ASSERT_EVENT(2, "bpf_run", "opcode BPF,event START,flags 0,res 0,cflags 0x0");
	ASSERT_EVENT(2, "bpf_run", "verdict DEFAULT,nr_children 1,sqes 1,again 0");
	ASSERT_EVENT(2, "bpf_run", "cqes 0,links 0,cancels 0");
	ASSERT_SAME(0, "req", 2, "req");
	ASSERT_EVENT(3, "submit_req", "user_data 0xc41d,opcode NOP");
	/* as the program has seen the completion, not as it has changed that */
	ASSERT_EVENT(4, "bpf_run", "flow 0,slot 3,flow_data 0xf10a,user_data 0xc41d");
	ASSERT_EVENT(4, "bpf_run", "opcode NOP,event COMPLETE,flags CHILD,res 7,cflags 0x0");
	ASSERT_EVENT(4, "bpf_run", "verdict POST,nr_children 0,sqes 0,again 0");
	ASSERT_EVENT(4, "bpf_run", "cqes 0,links 0,cancels 0");
	ASSERT_SAME(3, "req", 4, "req");
	ASSERT_EVENT(5, "bpf_flow", "user_data 0xf10a,state end,reason no_children,result 0");
	ASSERT_SAME(0, "req", 5, "req");
	ASSERT_EVENT(6, "complete", "user_data 0xc41d,result 8");
	ASSERT_SAME(4, "req", 6, "req");
	ASSERT_EVENT(7, "complete", "user_data 0xf10a,result 0");
	ASSERT_SAME(5, "req", 7, "req");
	ASSERT_SAME(0, "ring", 4, "ring");
}

TEST_F(tp, the_reissue_of_a_child)
{
	ASSERT_TRUE(trace_enable("io_uring_submit_req", true));
	trace_add_nop(self, 0);
	self->skel->bss->nr_again = 2;
	self->skel->bss->verdict = BPF_IO_URING_DROP | BPF_IO_URING_CUT;
	trace_start(trace_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(8, trace_read());
	for (int i = 4; i < 7; i++) {
		ASSERT_EVENT(i, "bpf_run", "event COMPLETE,verdict DROP|CUT,sqes 0");
		ASSERT_SAME(3, "req", i, "req");
	}
	ASSERT_EVENT(4, "bpf_run", "again 1");
	ASSERT_EVENT(5, "bpf_run", "again 1");
	ASSERT_EVENT(6, "bpf_run", "again 0");
	ASSERT_END("reason no_children");
}

TEST_F(tp, kfuncs_that_refuse)
{
	trace_start(trace_refused);
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_EQ(15, trace_read());
	ASSERT_EVENT(1, "bpf_kfunc", "flow 0,user_data 0xf10a,kfunc bpf_io_uring_issue");
	ASSERT_EVENT(1, "bpf_kfunc", "error -22");
	ASSERT_EVENT(2, "bpf_kfunc", "kfunc bpf_io_uring_again,error -22");
	ASSERT_EVENT(3, "bpf_kfunc", "kfunc bpf_io_uring_cancel,error -22");
	ASSERT_EVENT(4, "bpf_kfunc", "kfunc bpf_io_uring_post_cqe,error -22");
	ASSERT_EVENT(5, "bpf_kfunc", "kfunc bpf_io_uring_drop,error -2");
	ASSERT_EVENT(6, "bpf_kfunc", "kfunc bpf_io_uring_unlink,error -34");
	ASSERT_EVENT(7, "bpf_kfunc", "kfunc bpf_io_uring_link,error -22");
	ASSERT_EVENT(8, "bpf_kfunc", "kfunc bpf_io_uring_buf_read,error -2");
	ASSERT_EVENT(9, "bpf_kfunc", "kfunc bpf_io_uring_buf_write,error -2");
	ASSERT_EVENT(10, "bpf_kfunc", "kfunc bpf_io_uring_buf_copy,error -7");
	ASSERT_EVENT(11, "bpf_kfunc", "kfunc bpf_io_uring_buf_give,error -22");
	ASSERT_EVENT(12, "bpf_kfunc", "kfunc bpf_io_uring_req,error -22");
	ASSERT_EVENT(13, "bpf_run", "event START,sqes 0");
	ASSERT_SAME(1, "req", 13, "req");
	ASSERT_END("reason refused,result -22");
}

/* Which kfunc, about which completion */
TEST_F(tp, complete_that_is_refused)
{
	trace_add_nop(self, 0);
	trace_add_nop(self, 0);
	self->skel->bss->end_res = 9;
	trace_start(trace_flow);
	ASSERT_CQE(&self->ring, FLOW, 9);
	ASSERT_EQ(6, trace_read());
	/* this run has called complete() */
	ASSERT_EVENT(2, "bpf_run", "event COMPLETE,flags CHILD|ENDING,nr_children 1");
	ASSERT_EVENT(3, "bpf_kfunc", "flow 0,kfunc bpf_io_uring_complete,error -114");
	ASSERT_EVENT(4, "bpf_run", "event COMPLETE,flags CHILD|ENDING,nr_children 0");
	ASSERT_SAME(3, "req", 4, "req");
	ASSERT_END("reason complete,result 9");
}

TEST_F(tp, end_with_the_error_of_a_child)
{
	trace_add_nop(self, -EIO);
	trace_start(trace_flow);
	ASSERT_CQE(&self->ring, FLOW, -EIO);
	trace_read();
	ASSERT_END("reason no_children,result -5");
}

TEST_F(tp, end_by_cancellation)
{
	trace_add_read(self);
	trace_start(trace_flow);
	trace_wait_events(1);
	iou_queue_cancel(&self->ring, FLOW, APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_EQ(5, trace_read());
	ASSERT_EVENT(2, "bpf_run", "user_data 0xf10a,opcode BPF,event CANCEL,flags ENDING");
	ASSERT_EVENT(2, "bpf_run", "res -125,nr_children 1");
	ASSERT_EVENT(3, "bpf_run", "user_data 0xc41e,opcode READ,event COMPLETE");
	ASSERT_EVENT(3, "bpf_run", "flags CHILD|ENDING,res -125");
	ASSERT_END("reason cancelled,result -125");
}

TEST_F(tp, end_by_detaching)
{
	trace_add_read(self);
	trace_start(trace_flow);
	trace_wait_events(1);
	bpf_link__destroy(self->link);
	self->link = NULL;
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	trace_read();
	ASSERT_END("reason detached,result -125");
}

/* Read events until the last one is the end of a flow. */
static void trace_wait_end(void)
{
	for (int i = 0; i < IOU_WAIT_MS / 10; i++) {
		int nr = trace_read();

		if (nr && strstr(trace_lines[nr - 1].args, "state end"))
			break;
		usleep(10000);
	}
}

TEST_F(tp, end_by_exit)
{
	int pid, status;

	/* a thread of the kernel can end what the task leaves behind */
	ASSERT_TRUE(trace_self(false));
	pid = fork();
	if (!pid) {
		if (iou_ring_init(&self->ring, variant->setup))
			_exit(1);
		trace_add_read(self);
		bpf_program__attach_iouring(self->skel->progs.trace_flow,
					    self->ring.ring_fd, NULL);
		iou_queue_bpf(&self->ring, 0, FLOW);
		_exit(iou_submit(&self->ring) != 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	trace_wait_end();
	ASSERT_EQ(3, nr_trace_lines);
	ASSERT_EVENT(2, "bpf_flow", "user_data 0xf10a,state end,reason exit,result -125");
}

/* A task that is killed sees nothing of the child that completes afterwards. */
TEST_F(tp, end_by_kill)
{
	int pid, status, fds[2];

	ASSERT_TRUE(trace_self(false));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!pipe_that_kills(fds) || iou_ring_init(&self->ring, variant->setup))
			_exit(1);
		iou_prep_nop(trace_add(self), 0, IORING_NOP_TW, CHILD);
		iou_prep_write(trace_add(self), fds[1], "", 1, 0, CHILD);
		bpf_program__attach_iouring(self->skel->progs.trace_flow,
					    self->ring.ring_fd, NULL);
		iou_queue_bpf(&self->ring, 0, FLOW);
		iou_submit(&self->ring);
		_exit(1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	trace_wait_end();
	ASSERT_EVENT(nr_trace_lines - 1, "bpf_flow", "state end,reason exit,result -125");
}

static struct bpf_link *trace_attach_watch(FIXTURE_DATA(tp) *self,
					   struct bpf_program *prog, int slot)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = slot, .flags = BPF_F_IOURING_MATCH);

	return bpf_program__attach_iouring(prog, self->ring.ring_fd, &opts);
}

TEST_F(tp, programs_that_watch)
{
	struct bpf_link *links[2];

	links[0] = trace_attach_watch(self, self->skel->progs.trace_watch, 5);
	ASSERT_NE(NULL, links[0]);
	for (int i = 0; i < 2; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), i, 0, APP + i);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_EQ(2, trace_read());
	ASSERT_EVENT(0, "bpf_run", "flow -1,slot 5,flow_data 0x0,user_data 0xa99,opcode NOP");
	ASSERT_EVENT(0, "bpf_run", "event COMPLETE,flags MATCH,res 0,verdict DEFAULT,sqes 0");
	ASSERT_EVENT(1, "bpf_run", "flow -1,slot 5,user_data 0xa9a,res 1,verdict DROP");

	/* one that writes, and calls what a watching program cannot */
	bpf_link__destroy(links[0]);
	links[1] = trace_attach_watch(self, self->skel->progs.trace_watch_write, 2);
	ASSERT_NE(NULL, links[1]);
	iou_prep_nop(iou_get_sqe(&self->ring), 4, 0, APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 5);
	ASSERT_EQ(4, trace_read());
	ASSERT_EVENT(2, "bpf_kfunc", "flow -1,user_data 0xa99,kfunc bpf_io_uring_complete");
	ASSERT_EVENT(2, "bpf_kfunc", "error -95");
	ASSERT_EVENT(3, "bpf_run", "flow -1,slot 2,flags MATCH,res 4");
	bpf_link__destroy(links[1]);
}

TEST_F(tp, nothing_when_off)
{
	for (int i = 0; i < 3; i++)
		ASSERT_TRUE(trace_enable(all[i], false));
	trace_start(trace_refused);
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_EQ(0, trace_read());
}

TEST_HARNESS_MAIN
