// SPDX-License-Identifier: GPL-2.0
/* Requests of programs are audited like those of the application. */
#include "iou_bpf.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "flow.skel.h"

#define FLOW	0xf10aULL
#define APP	0xa44ULL

FIXTURE(audit) {
	struct io_uring ring;
	struct flow *skel;
	struct bpf_link *link;
	struct audit_rule_data rule;
	bool enabled;
	int netlink;
	/* receives the records, like a daemon */
	int log;
};

IOU_MODE_VARIANTS(audit);

/*
 * Return 0 or an error. Store the message before the ACK in @reply.
 */
static int audit_request(int fd, unsigned int type, const void *data,
			 size_t len, void *reply, size_t reply_len)
{
	static __u32 seq;
	struct {
		struct nlmsghdr hdr;
		char data[8192];
	} msg = {
		.hdr = {
			.nlmsg_len	= NLMSG_LENGTH(len),
			.nlmsg_type	= type,
			.nlmsg_flags	= NLM_F_REQUEST | NLM_F_ACK,
			.nlmsg_seq	= ++seq,
		},
	};
	bool acked = false;
	int ret = 0;

	memcpy(msg.data, data, len);
	if (send(fd, &msg, msg.hdr.nlmsg_len, 0) < 0)
		return -errno;
	while (!acked || reply) {
		if (recv(fd, &msg, sizeof(msg), 0) < 0)
			return -errno;
		if (msg.hdr.nlmsg_type == NLMSG_ERROR) {
			ret = ((struct nlmsgerr *)msg.data)->error;
			acked = true;
		} else if (reply && msg.hdr.nlmsg_type == type) {
			memcpy(reply, msg.data, reply_len);
			reply = NULL;
		}
		if (ret)
			break;
	}
	return ret;
}

static int audit_enable(FIXTURE_DATA(audit) *self, bool enable)
{
	struct audit_status status = {
		.mask		= AUDIT_STATUS_ENABLED,
		.enabled	= enable,
	};

	return audit_request(self->netlink, AUDIT_SET, &status, sizeof(status),
			     NULL, 0);
}

/* Without this rule, enabling audit would affect all future tasks. */
static int audit_never(FIXTURE_DATA(audit) *self, unsigned int type)
{
	struct audit_rule_data never = {
		.flags	= AUDIT_FILTER_TASK,
		.action	= AUDIT_NEVER,
	};

	return audit_request(self->netlink, type, &never, sizeof(never), NULL,
			     0);
}

IOU_LOAD_ONCE(flow);

FIXTURE_SETUP(audit)
{
	struct timeval tv = { .tv_sec = IOU_WAIT_MS / 1000 };
	struct sockaddr_nl group = {
		.nl_family	= AF_NETLINK,
		.nl_groups	= 1 << (AUDIT_NLGRP_READLOG - 1),
	};
	struct audit_status status = {};

	IOU_REQUIRE();
	self->netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	if (self->netlink < 0)
		SKIP(return, "no CONFIG_AUDIT");
	setsockopt(self->netlink, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (audit_request(self->netlink, AUDIT_GET, NULL, 0, &status,
			  sizeof(status)))
		SKIP(return, "cannot query the state of audit");
	if (status.enabled || status.pid)
		SKIP(return, "audit is in use");
	self->log = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_AUDIT);
	if (self->log < 0 || bind(self->log, (struct sockaddr *)&group,
				  sizeof(group)))
		SKIP(return, "cannot join the multicast group of audit");
	self->skel = flow_get();
	ASSERT_NE(NULL, self->skel);

	self->rule.flags = AUDIT_FILTER_URING_EXIT;
	self->rule.action = AUDIT_ALWAYS;
	self->rule.mask[AUDIT_WORD(IORING_OP_OPENAT)] |=
		AUDIT_BIT(IORING_OP_OPENAT);
	/* records of the previous test */
	audit_never(self, AUDIT_DEL_RULE);
	ASSERT_EQ(0, audit_enable(self, true));
	self->enabled = true;
	ASSERT_EQ(0, audit_request(self->netlink, AUDIT_ADD_RULE, &self->rule,
				   sizeof(self->rule), NULL, 0));
}

FIXTURE_TEARDOWN(audit)
{
	if (!self->enabled)
		return;
	audit_request(self->netlink, AUDIT_DEL_RULE, &self->rule,
		      sizeof(self->rule), NULL, 0);
	audit_never(self, AUDIT_ADD_RULE);
	audit_enable(self, false);
}

/* Run in a process that was forked with audit enabled. */
static void audit_run(FIXTURE_DATA(audit) *self, unsigned int setup, bool flow)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;

	if (iou_ring_init(&self->ring, setup))
		_exit(1);
	if (!bpf_program__attach_iouring(self->skel->progs.flow_issue,
					 self->ring.ring_fd, NULL))
		_exit(2);
	if (flow) {
		sqe = &self->skel->bss->sqes[0];
		self->skel->bss->nr_sqes = 1;
		iou_queue_bpf(&self->ring, 0, FLOW);
	} else {
		sqe = iou_get_sqe(&self->ring);
	}
	io_uring_prep_openat(sqe, AT_FDCWD, "/proc/self/nonexistent", 0, 0);
	if (iou_submit(&self->ring) != 1 ||
	    iou_wait_cqe(&self->ring, &cqe) || cqe.res != -ENOENT)
		_exit(3);
	_exit(0);
}

/* Return the number of records of the request so far. */
static int audit_records(FIXTURE_DATA(audit) *self)
{
	struct {
		struct nlmsghdr head;
		char text[8192];
	} record;
	char want[64];
	ssize_t len;
	int nr = 0;

	snprintf(want, sizeof(want), "uring_op=%d ", IORING_OP_OPENAT);
	for (;;) {
		len = recv(self->log, &record, sizeof(record) - 1, 0);
		if (len < (ssize_t)sizeof(record.head))
			return nr;
		((char *)&record)[len] = 0;
		if (record.head.nlmsg_type == AUDIT_URINGOP &&
		    strstr(record.text, want) &&
		    strstr(record.text, "success=no"))
			nr++;
	}
}

TEST_F(audit, child)
{
	int status;
	pid_t pid;

	for (int flow = 0; flow < 2; flow++) {
		__u64 end = iou_now_ms() + IOU_WAIT_MS;
		int nr = 0;

		audit_records(self);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			audit_run(self, variant->setup, flow);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
		/* a kernel thread writes the records */
		while (!nr && iou_now_ms() < end) {
			usleep(20000);
			nr += audit_records(self);
		}
		usleep(IOU_IDLE_MS * 1000);
		nr += audit_records(self);
		ASSERT_EQ(1, nr) TH_LOG("%s", flow ? "child" : "request");
	}
}

TEST_HARNESS_MAIN
