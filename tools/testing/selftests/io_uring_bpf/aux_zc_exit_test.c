// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a process whose flow waits for the notification of a zero-copy send, which
 * cannot be cancelled. The flow has its result, and holds the chain behind it.
 *
 * A wait for a private futex is tracked from its preparation on: an exiting task does not
 * go on before such a request is gone. The chain behind the flow must be failed for this,
 * as the notification comes only when the connection ends. The test has both of its ends
 * open as well, so the exit of the process does not end the connection.
 */
#include "aux_tcp.h"
#include "futex.h"
#include "process.h"

#define FUTEX	0xf07eULL

static __u32 futex;

/* Run a process that submits the chain, and exits after the program has ended the flow. */
static void run_process(FIXTURE_DATA(aux) *self, unsigned int setup, int sig)
{
	struct io_uring ring;

	if (iou_ring_init(&ring, setup) ||
	    !bpf_program__attach_iouring(self->skel->progs.aux_flow,
					 ring.ring_fd, NULL))
		_exit(1);
	iou_queue_bpf(&ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	iou_prep_futex_wait(iou_get_sqe(&ring), &futex, FUTEX);
	if (iou_submit(&ring) != 2)
		_exit(2);
	if (!iou_until(&ring, aux_nr_events(self) >= 2))
		_exit(3);
	/* the flow has not completed */
	if (io_uring_cq_ready(&ring))
		_exit(4);
	if (sig)
		kill(getpid(), sig);
	_exit(0);
}

static void run_exit(struct __test_metadata *_metadata, FIXTURE_DATA(aux) *self,
		     unsigned int setup, int sig)
{
	int status = 0;
	bool dead;
	pid_t pid;

	ASSERT_EQ(0, tcp_connect());
	ASSERT_TRUE(tcp_fill());
	prep_send(self);
	/* a positive result does not cut the chain, the same as 0 */
	aux_step(self, 1)->end = 7;
	pid = fork();
	if (!pid)
		run_process(self, setup, sig);
	ASSERT_LT(0, pid);
	dead = until_ms(waitpid(pid, &status, WNOHANG) == pid, IOU_WAIT_MS);
	/* let the notification come: the ring, or a process that hangs, can go away */
	ASSERT_EQ(0, tcp_reset());
	ASSERT_TRUE(dead) TH_LOG("process %d does not end", pid);
	if (sig) {
		ASSERT_TRUE(WIFSIGNALED(status)) TH_LOG("status %#x", status);
		ASSERT_EQ(sig, WTERMSIG(status));
	} else {
		ASSERT_EQ(0, status);
	}
	ASSERT_EQ(2, aux_nr_events(self));
	ASSERT_SENT(1, IORING_OP_SEND_ZC, LEN);
}

#define NOT_SQPOLL() do {						\
	if (variant->setup & IORING_SETUP_SQPOLL)			\
		SKIP(return, "an SQ thread waits for all of its requests"); \
} while (0)

TEST_F(aux, futex_behind_ended_flow_kill)
{
	NOT_SQPOLL();
	run_exit(_metadata, self, variant->setup, SIGKILL);
}

TEST_F(aux, futex_behind_ended_flow_exit)
{
	NOT_SQPOLL();
	run_exit(_metadata, self, variant->setup, 0);
}

TEST_HARNESS_MAIN
