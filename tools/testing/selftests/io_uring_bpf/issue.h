/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_ISSUE_H
#define IOU_ISSUE_H

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "issue.skel.h"

#define FLOW		0xf10aULL
#define CHILD		0xc41dULL
#define OTHER		0x07e4ULL

FIXTURE(issue) {
	struct io_uring ring;
	struct issue *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf[64];
};

IOU_MODE_VARIANTS(issue);
IOU_LOAD_ONCE(issue);

FIXTURE_SETUP(issue)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = issue_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(issue)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

#endif
