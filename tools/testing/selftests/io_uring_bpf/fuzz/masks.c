// SPDX-License-Identifier: GPL-2.0
/*
 * Known faults, and how a case is kept from running into them
 *
 * Of the base kernel, and never generated, as no mask could be lifted for them:
 *
 * - a zero-copy send that a drain holds back never ends, io_drain_req() counts one
 *   request of two: fz_derive();
 * - SEND_ZC whose connection has both ends in the table of the ring keeps the ring
 *   for ever: FD_TCP_A and FD_TCP_B are in no table;
 * - null_blk that is polled and has memory of its own sleeps under RCU: the guest's
 *   has none;
 * - IORING_REGISTER_SYNC_CANCEL does not look into the workers of an SQ thread:
 *   settle() ends what they may wait for as well.
 */
#include "env.h"

static unsigned int lifted;

struct mask {
	const char *name;
	void (*apply)(struct fz_case *c);
};

static const struct mask masks[] = {
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
