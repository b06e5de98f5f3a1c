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

static const struct mask masks[] = {
	{ "busy_flow_starves_wait", no_endless_flows },
	{ "watch_poll_eventfd_unkillable", no_endless_watchers },
	{ "stranded_app_request_oops", no_requests_in_aux },
	{ }
};

#define NR_MASKS (ARRAY_SIZE(masks) - 1)

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
