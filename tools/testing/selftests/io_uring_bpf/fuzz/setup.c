// SPDX-License-Identifier: GPL-2.0
/* Generation of rings, and of the programs that are attached to them */
#include "env.h"

static const char *const modes[] = {
	"plain", "defer", "sqpoll", "iopoll", "wide", "mixed", "watch", "flow",
	"kill", "repeat",
};

/* Return true if --mode contains @word. */
bool fz_want(const char *word)
{
	const char *p = opt.mode, *end;

	while (p && *p) {
		end = strchrnul(p, ',');
		if (!strncmp(p, word, end - p) && !word[end - p])
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

/* Return true if @mode is a list of known words. */
bool fz_mode_ok(const char *mode)
{
	unsigned int i;

	while (*mode) {
		size_t n = strcspn(mode, ",");

		for (i = 0; i < ARRAY_SIZE(modes); i++) {
			if (!strncmp(mode, modes[i], n) && !modes[i][n])
				break;
		}
		if (i == ARRAY_SIZE(modes))
			return false;
		mode += n + (mode[n] == ',');
	}
	return true;
}

static __u32 any_setup(struct fz_rng *r)
{
	__u32 s = 0;

	switch (below(r, 10)) {
	case 0 ... 2:
		break;
	case 3 ... 5:
		s = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
		break;
	case 6:
		s = IORING_SETUP_SQPOLL;
		break;
	case 7:
		s = IORING_SETUP_COOP_TASKRUN;
		if (chance(r, 50))
			s |= IORING_SETUP_TASKRUN_FLAG;
		break;
	case 8:
		s = IORING_SETUP_SINGLE_ISSUER;
		break;
	case 9:
		s = IORING_SETUP_IOPOLL;
		if (chance(r, 40))
			s |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
		else if (chance(r, 30))
			s |= IORING_SETUP_SQPOLL;
		break;
	}
	if (chance(r, 60))
		s |= IORING_SETUP_SUBMIT_ALL;
	if (chance(r, 12))
		s |= chance(r, 50) ? IORING_SETUP_CQE32 : IORING_SETUP_CQE_MIXED;
	if (chance(r, 12))
		s |= chance(r, 50) ? IORING_SETUP_SQE128 : IORING_SETUP_SQE_MIXED;
	if (chance(r, 12))
		s |= IORING_SETUP_NO_SQARRAY;
	if ((s & IORING_SETUP_NO_SQARRAY) && !(s & IORING_SETUP_SQPOLL) && chance(r, 40))
		s |= IORING_SETUP_SQ_REWIND;
	if (chance(r, 8))
		s |= IORING_SETUP_NO_MMAP;
	if ((s & IORING_SETUP_NO_MMAP) && chance(r, 20))
		s |= IORING_SETUP_REGISTERED_FD_ONLY;
	if (chance(r, 15))
		s |= IORING_SETUP_R_DISABLED;
	if ((s & IORING_SETUP_IOPOLL) && chance(r, 20))
		s |= IORING_SETUP_HYBRID_IOPOLL;
	return s;
}

/* Return the setup flags, adjusted to the words of --mode that select rings. */
static __u32 mode_setup(__u32 s)
{
	const __u32 kinds = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			    IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL |
			    IORING_SETUP_HYBRID_IOPOLL | IORING_SETUP_COOP_TASKRUN |
			    IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SQ_REWIND;

	if (fz_want("plain"))
		s &= ~kinds;
	if (fz_want("defer"))
		s = (s & ~kinds) | IORING_SETUP_SINGLE_ISSUER |
		    IORING_SETUP_DEFER_TASKRUN;
	if (fz_want("sqpoll"))
		s = (s & ~kinds) | IORING_SETUP_SQPOLL;
	if (fz_want("iopoll"))
		s |= IORING_SETUP_IOPOLL;
	if (fz_want("wide"))
		s = (s & ~(IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE_MIXED)) |
		    IORING_SETUP_CQE32 | IORING_SETUP_SQE128;
	if (fz_want("mixed"))
		s = (s & ~(IORING_SETUP_CQE32 | IORING_SETUP_SQE128)) |
		    IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE_MIXED;
	return s;
}

/* Return random setup flags, as --mode allows. */
__u32 fz_gen_setup(struct fz_rng *r)
{
	return mode_setup(any_setup(r));
}

/* Limit the sizes to the memory that ring_setup() has for IORING_SETUP_NO_MMAP. */
void fz_gen_limits(struct fz_ring *ring)
{
	if (ring->setup & IORING_SETUP_NO_MMAP) {
		ring->entries = ring->entries > 16 ? 16 : ring->entries;
		ring->cq_entries = ring->cq_entries > 32 ? 32 : ring->cq_entries;
	}
}

void fz_gen_ring(struct fz_rng *r, struct fz_case *c, unsigned int i)
{
	struct fz_ring *ring = &c->rings[i];

	ring->on = !i || chance(r, i == 1 ? 35 : 12);
	ring->setup = fz_gen_setup(r);
	ring->entries = PICK(r, 16U, 32U, 64U);
	ring->cq_entries = PICK(r, 2U, 4U, 16U, 64U, 128U, 128U, 256U);
	if (ring->cq_entries < ring->entries)
		ring->cq_entries = chance(r, 30) ? ring->cq_entries : ring->entries;
	/* the kernel requires a CQ at least as large as the SQ */
	if (ring->cq_entries < ring->entries)
		ring->entries = ring->cq_entries;
	fz_gen_limits(ring);
	ring->registered_fd = chance(r, 15);
	ring->restricted = chance(r, 20);
	if (!i || !chance(r, 30))
		return;
	ring->attach_wq = 1;
	if ((c->rings[0].setup & IORING_SETUP_SQPOLL) && !opt.mode && chance(r, 80))
		ring->setup = c->rings[0].setup;
	else if (!(c->rings[0].setup & IORING_SETUP_SQPOLL))
		ring->setup &= ~IORING_SETUP_SQPOLL;
}

void fz_gen_attach(struct fz_rng *r, struct fz_case *c, unsigned int ring)
{
	/* percentages */
	static const __u8 attached[FZ_SLOTS] = { 95, 30, 45, 12, 35, 8 };
	unsigned int slot;

	for (slot = 0; slot < FZ_SLOTS; slot++) {
		struct fz_attach *a = &c->attach[c->nr_attach];

		bool watch = fz_slot_watches(slot), plain = fz_slot_plain(slot);

		if (!chance(r, attached[slot]) && !(fz_want("watch") && slot == 2))
			continue;
		if (fz_want("flow") && watch)
			continue;
		memset(a, 0, sizeof(*a));
		a->on = 1;
		a->ring = ring;
		a->slot = slot;
		a->sleepable = chance(r, 25);
		if (!watch)
			a->flow_size = PICK(r, 0, 0, 0, 8, 64, 100, 4095, 4096, 4096);
		if (watch && !plain && chance(r, 60))
			a->opcodes = 1ULL << fz_op_opcode(PICK(r, (int)OP_NOP, OP_READ,
				OP_POLL, OP_ACCEPT, OP_RECV, OP_SEND, OP_WRITE,
				OP_LINK_TIMEOUT, OP_TIMEOUT_REMOVE, OP_CANCEL)) |
				1ULL << fz_op_opcode(below(r, OP_RAW));
		a->opcodes &= ~(1ULL << IORING_OP_TIMEOUT | 1ULL << IORING_OP_RECV_ZC);
		if (watch && !plain && chance(r, 10)) {
			a->user_data_mask = 1;
			a->user_data = below(r, 2);
		}
		c->nr_attach++;
	}
}
