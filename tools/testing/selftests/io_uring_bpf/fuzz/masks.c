// SPDX-License-Identifier: GPL-2.0
/*
 * Known faults, and how a case is kept from running into them
 *
 * Of the base kernel, and never generated, as no mask could be lifted for them:
 *
 * - a zero-copy send that a drain holds back never ends, io_drain_req() counts one
 *   request of two: fz_derive();
 * - exec() waits for the notification of a SEND_ZC whose data is read by nobody,
 *   and SIGKILL does not end that: fz_derive();
 * - SEND_ZC whose connection has both ends in the table of the ring keeps the ring
 *   for ever: FD_TCP_A and FD_TCP_B are in no table;
 * - null_blk that is polled and has memory of its own sleeps under RCU: the guest's
 *   has none;
 * - IORING_REGISTER_SYNC_CANCEL does not look into the workers of an SQ thread:
 *   settle() ends what they may wait for as well.
 */
#include "env.h"

/* BPF_IO_URING_POST, which only programs get from the kernel */
#define VERDICT_POST	1

static unsigned int lifted;

struct mask {
	const char *name;
	void (*apply)(struct fz_case *c);
};

#define for_each_rule(c, i, j, rule)					\
	for (i = 0; i < FZ_TABLES; i++)					\
		for (j = 0, rule = (c)->tables[i].rules; j < FZ_RULES;	\
		     j++, rule++)

/* Children whose CQEs are posted fill the overflow list of a ring nobody reaps. */
static void few_posts(struct fz_case *c)
{
	struct fz_rule *rule;
	unsigned int i, j;

	for_each_rule(c, i, j, rule) {
		if (rule->left > 20 && (rule->verdict & 3) == VERDICT_POST)
			rule->left = 20;
	}
}

/* A wait is not over at its time as long as flows have something to do. */
static void no_endless_flows(struct fz_case *c)
{
	struct fz_rule *rule;
	unsigned int i, j;

	if (c->end != END_SETTLE)
		return;
	for_each_rule(c, i, j, rule) {
		if (rule->left > 100)
			rule->left = 100;
	}
}

/* nr_children has one more in what runs between bpf_io_uring_link() and the link. */
static void links_count(struct fz_case *c)
{
	c->loose |= FZ_LOOSE_LINKS;
}

static const struct mask masks[] = {
	{ "overflow_grows_by_post", few_posts },
	{ "busy_flow_starves_wait", no_endless_flows },
	{ "link_counts_as_child", links_count },
	{ }
};

#define NR_MASKS (sizeof(masks) / sizeof(masks[0]) - 1)

/* "all", "none", or names of those that stay. Returns 0 or -EINVAL. */
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
