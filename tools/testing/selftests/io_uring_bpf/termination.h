/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The processes of termination_test: an endless one, its twin, and a neighbour
 */
#ifndef IOU_TERMINATION_H
#define IOU_TERMINATION_H

#include "process.h"

#include <pthread.h>
#include <sched.h>

#define MAX_FLOWS	2

/* shared by the processes */
struct term_shared {
	int submitted;
	int handled;
	/* number of times that the process has returned to user space */
	int returns;
	/* request to close the rings, and the confirmation */
	int close;
	int left;
	int closed;
	/* threads of the twin that compute */
	unsigned int computing;
	/* NOPs of the neighbour */
	__u64 nops;
};

/* Bind the process to the CPU for which all of them compete. */
static inline void pin(void)
{
	cpu_set_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static inline void on_usr1(int sig)
{
	_exit(7);
}

static struct term_shared *shared;

static inline void on_usr2(int sig)
{
	shared->handled++;
}

/* Run available work, and sleep when possible. */
static inline void run_rings(struct io_uring *rings, unsigned int nr)
{
	int ret = 0;

	do {
		shared->returns++;
		if (IO_URING_READ_ONCE(shared->close))
			IO_URING_WRITE_ONCE(shared->left, 1);
		for (unsigned int i = 0; i < nr; i++) {
			if (!shared->left)
				io_uring_cq_advance(&rings[i],
						    io_uring_cq_ready(&rings[i]));
			ret = io_uring_enter(rings[i].ring_fd, 0, nr == 1,
					     IORING_ENTER_GETEVENTS, NULL);
		}
	} while (ret != -EBADF);
	IO_URING_WRITE_ONCE(shared->closed, 1);
	for (;;)
		pause();
}

struct closer {
	struct io_uring *rings;
	pthread_t main;
};

/* Close the rings while another thread uses them. */
static inline void *close_fn(void *arg)
{
	struct closer *c = arg;

	while (!IO_URING_READ_ONCE(shared->close))
		usleep(1000);
	while (!IO_URING_READ_ONCE(shared->left)) {
		pthread_kill(c->main, SIGUSR2);
		usleep(1000);
	}
	for (int i = 0; i < MAX_FLOWS; i++)
		io_uring_queue_exit(&c->rings[i]);
	while (!IO_URING_READ_ONCE(shared->closed)) {
		pthread_kill(c->main, SIGUSR2);
		usleep(1000);
	}
	return NULL;
}

/* Keep a CPU busy that also has others to run. */
static inline void *compute_fn(void *arg)
{
	__atomic_add_fetch(&shared->computing, 1, __ATOMIC_RELAXED);
	for (;;)
		__asm__ volatile("" : : : "memory");
	return NULL;
}

/* Run this number of computing tasks. */
static inline void run_compute(unsigned int nr)
{
	pthread_t thread;

	while (--nr) {
		if (pthread_create(&thread, NULL, compute_fn, NULL))
			_exit(GONE_WRONG);
	}
	compute_fn(NULL);
}

/* Run NOPs on a separate ring, and count them. */
static inline void run_neighbour(struct term_shared *shared)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	pin();
	if (iou_ring_init(&ring, 0))
		_exit(GONE_WRONG);
	for (;;) {
		iou_prep_nop(iou_get_sqe(&ring), 0, 0, 0);
		if (io_uring_submit_and_wait(&ring, 1) != 1 ||
		    io_uring_peek_cqe(&ring, &cqe))
			_exit(GONE_WRONG);
		io_uring_cqe_seen(&ring, cqe);
		IO_URING_WRITE_ONCE(shared->nops, shared->nops + 1);
	}
}

static inline __u64 cpu_ms(pid_t pid)
{
	struct timespec ts = {};
	clockid_t clock;

	if (!clock_getcpuclockid(pid, &clock))
		clock_gettime(clock, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

#endif
