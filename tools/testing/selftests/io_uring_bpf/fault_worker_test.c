// SPDX-License-Identifier: GPL-2.0
/*
 * A child that needs a worker of io-wq, in a task without workers. If no worker
 * can be created, the child fails, and the flow continues.
 */
#include "fault.h"

#include <pthread.h>

struct pass {
	FIXTURE_DATA(fault) *self;
	unsigned int setup;
	unsigned int nth;
	/* input and output of a try, and whether an allocation has failed */
	int ret;
	struct io_uring_cqe cqe;
	bool more;
};

/* The whole life of a task with one flow */
static void *run_pass(void *arg)
{
	struct pass *pass = arg;
	FIXTURE_DATA(fault) *self = pass->self;
	int ret;

	if (!fault_open())
		abort();
	pass->ret = fresh_ring(self, pass->setup,
			       self->skel->progs.fault_issue);
	if (pass->ret)
		return NULL;
	fault_nth(pass->nth);
	ret = run_flow(self, &pass->cqe);
	pass->more = fault_end();
	pass->ret = end_flow(self, ret, &pass->cqe);
	close_ring(self);
	return NULL;
}

TEST_F_TIMEOUT(fault, worker, 600)
{
	struct fault__bss *bss = self->skel->bss;
	unsigned int no_worker = 0;
	struct pass pass = {
		.self	= self,
		.setup	= variant->setup,
		.more	= true,
	};

	bss->nr_sqes = 1;
	iou_prep_nop(&bss->sqes[0], 3, 0, CHILD);
	bss->sqes[0].flags = IOSQE_ASYNC;
	while (pass.more) {
		pthread_t thread;

		bss->nr_events = 0;
		memset(bss->rets, 0xff, sizeof(bss->rets));
		memset(&pass.cqe, 0, sizeof(pass.cqe));
		pass.nth++;
		ASSERT_EQ(0, pthread_create(&thread, NULL, run_pass, &pass));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(0, pass.ret) TH_LOG("%u", pass.nth);
		ASSERT_TRUE(!pass.cqe.res || no_memory(pass.cqe.res)) {
			TH_LOG("%u: %d", pass.nth, pass.cqe.res);
		}
		if (!bss->nr_events)
			continue;
		ASSERT_EQ(1 + nr_issued(self), bss->nr_events);
		if (bss->nr_events == 1)
			continue;
		ASSERT_TRUE(bss->events[1].res == 3 ||
			    bss->events[1].res == pass.cqe.res);
		no_worker += bss->events[1].res == -ECANCELED;
	}
	ASSERT_LT(0, no_worker);
}

TEST_HARNESS_MAIN
