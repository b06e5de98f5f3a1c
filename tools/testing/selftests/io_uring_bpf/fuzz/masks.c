// SPDX-License-Identifier: GPL-2.0
/*
 * Masks: changes to a case that avoid known faults
 *
 * Faults of the base kernel have no mask. Cases always avoid them:
 *
 * - A zero-copy send deferred by a drain never completes: io_drain_req() counts
 *   only one of its two requests. See fz_derive().
 * - exec() waits for the notification of a SEND_ZC whose data the peer does not
 *   read, and SIGKILL does not end the wait. See fz_derive().
 * - A ring is never freed after SEND_ZC on a connection, if both ends are in its
 *   file table. FD_TCP_A and FD_TCP_B are in no file table.
 * - A memory-backed null_blk device that is polled sleeps under RCU. That of the
 *   guest is not memory-backed.
 * - IORING_REGISTER_SYNC_CANCEL does not search the workers of an SQ thread.
 *   settle() also completes the operations that such workers may wait for.
 */
#include "env.h"

/* BPF_IO_URING_POST, which user space headers lack */
#define VERDICT_POST	1

/* bitmap of the masks that are not applied */
static unsigned int lifted;

struct mask {
	const char *name;
	void (*apply)(struct fz_case *c);
};

#define for_each_rule(c, i, j, rule)					\
	for (i = 0; i < FZ_TABLES; i++)					\
		for (j = 0, rule = (c)->tables[i].rules; j < FZ_RULES;	\
		     j++, rule++)

static void limit(struct fz_rule *rule, __u32 most)
{
	if (rule->left > most)
		rule->left = most;
}

/* Posted CQEs of children can fill the overflow list without limit. */
static void few_posts(struct fz_case *c)
{
	struct fz_rule *rule;
	unsigned int i, j;

	for_each_rule(c, i, j, rule) {
		if ((rule->verdict & 3) == VERDICT_POST)
			limit(rule, 20);
	}
}

/* A wait for CQEs does not end at its timeout while flows are busy. */
static void no_endless_flows(struct fz_case *c)
{
	struct fz_rule *rule;
	unsigned int i, j;

	if (c->end != END_SETTLE)
		return;
	for_each_rule(c, i, j, rule)
		limit(rule, 30);
}

/* After bpf_io_uring_link(), nr_children is one too high until the request is linked. */
static void links_count(struct fz_case *c)
{
	c->loose |= FZ_LOOSE_LINKS;
}

static bool watches(unsigned int table)
{
	return table >= 2 * FZ_RINGS;
}

/* SIGKILL does not end a task in which a watching program keeps triggering itself. */
static void no_endless_watchers(struct fz_case *c)
{
	struct fz_rule *rule;
	unsigned int i, j;

	for_each_rule(c, i, j, rule) {
		if (watches(i))
			limit(rule, 100);
	}
}

/* A request that an AUX event issues for the application may never be submitted. */
static void no_requests_in_aux(struct fz_case *c)
{
	struct fz_rule *rule;
	unsigned int i, j, k;

	for_each_rule(c, i, j, rule) {
		for (k = 0; k < FZ_ACTS && (rule->events & FZ_EVENT_AUX); k++) {
			if (rule->acts[k].verb == FZ_ISSUE && rule->acts[k].flags)
				rule->acts[k].verb = FZ_NOTHING;
		}
	}
}

/* The memory of a request before a flow is not reused if its CQE is not posted. */
static void preds_post(struct fz_case *c)
{
	struct fz_rule *rule;
	unsigned int i, j;

	if (!c->repeats)
		return;
	for (i = 0; i < c->nr_sqes; i++)
		c->sqes[i].sqe_flags &= ~IOSQE_CQE_SKIP_SUCCESS;
	for_each_rule(c, i, j, rule) {
		if (!watches(i) && (rule->events & FZ_EVENT_COMPLETE))
			rule->verdict &= ~3;
	}
}

/* A linked timeout may cancel another request with the same user_data. */
static void timeouts_may_cancel(struct fz_case *c)
{
	struct fz_sqe *s;
	unsigned int i;

	for_each_request(c, i, s) {
		if (s->op == OP_LINK_TIMEOUT)
			c->innocent = 0;
	}
}

/* After an edit of a chain, requests that a program linked are watched. */
static void linked_are_watched(struct fz_case *c)
{
	c->loose |= FZ_LOOSE_WATCH;
}

/* A request that is issued again keeps the credentials of its first issue. */
static void no_sender_again(struct fz_case *c)
{
	struct fz_act *act;
	unsigned int i, j, k;

	for_each_act(c, i, j, k, act) {
		if (act->verb == FZ_AGAIN)
			act->msg = 0;
	}
}

static const struct mask masks[] = {
	{ "overflow_grows_by_post", few_posts },
	{ "busy_flow_starves_wait", no_endless_flows },
	{ "link_counts_as_child", links_count },
	{ "watch_poll_eventfd_unkillable", no_endless_watchers },
	{ "stranded_app_request_oops", no_requests_in_aux },
	{ "pred_drop_leaks_kiocbs", preds_post },
	{ "linked_timeout_kills_other", timeouts_may_cancel },
	{ "verbs_watched_linked", linked_are_watched },
	{ "verbs_creds_again", no_sender_again },
	{ }
};

#define NR_MASKS (sizeof(masks) / sizeof(masks[0]) - 1)

/* Parse --masks: "all", "none", or names of masks to apply. Return 0 or -EINVAL. */
int fz_masks_parse(const char *list)
{
	unsigned int i;

	if (!list || !strcmp(list, "all"))
		return 0;
	lifted = ~0U;
	if (!strcmp(list, "none"))
		return 0;
	while (*list) {
		size_t n = strcspn(list, ",");

		for (i = 0; i < NR_MASKS; i++) {
			if (!strncmp(masks[i].name, list, n) && !masks[i].name[n])
				break;
		}
		if (i == NR_MASKS)
			return -EINVAL;
		lifted &= ~(1U << i);
		list += n + (list[n] == ',');
	}
	return 0;
}

void fz_masks_apply(struct fz_case *c)
{
	unsigned int i;

	for (i = 0; i < NR_MASKS; i++) {
		if (!(lifted & 1U << i))
			masks[i].apply(c);
	}
}
