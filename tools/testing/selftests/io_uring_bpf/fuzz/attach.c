// SPDX-License-Identifier: GPL-2.0
/* Attachment of programs to rings, and the steps that change it */
#include "env.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include "fuzz.skel.h"

static struct bpf_program *program(unsigned int ring, unsigned int slot, bool sleepable)
{
	struct bpf_program *flows[2][FZ_RINGS] = {
		{ skel->progs.flow0, skel->progs.flow1, skel->progs.flow2 },
		{ skel->progs.flow_s0, skel->progs.flow_s1, skel->progs.flow_s2 },
	};
	struct bpf_program *watchers[FZ_WATCHERS][2][FZ_RINGS] = {
		{
			{ skel->progs.watch0, skel->progs.watch1, skel->progs.watch2 },
			{ skel->progs.watch_s0, skel->progs.watch_s1,
			  skel->progs.watch_s2 },
		},
		{
			{ skel->progs.after0, skel->progs.after1, skel->progs.after2 },
			{ skel->progs.after_s0, skel->progs.after_s1,
			  skel->progs.after_s2 },
		},
	};

	if (fz_slot_plain(slot))
		return skel->progs.watch_plain;
	if (fz_slot_watches(slot))
		return watchers[slot / 2 - 1][sleepable][ring];
	return flows[sleepable][ring];
}

/* Return the watching program with a table in this slot, or NULL. */
static struct fz_watcher *watcher(unsigned int ring, unsigned int slot)
{
	if (!fz_slot_watches(slot) || fz_slot_plain(slot))
		return NULL;
	return &skel->bss->rings[ring].watchers[slot / 2 - 1];
}

/* Set which watching programs of a slot may run. Return the previous value. */
static __u32 watch_ok(struct fz_watcher *w, __u32 bits)
{
	return w ? __atomic_exchange_n(&w->ok, bits, __ATOMIC_ACQ_REL) : 0;
}

int fz_ring_attach(struct fz_env *e, const struct fz_attach *a)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = a->slot, .flow_size = a->flow_size);
	struct bpf_program *prog = program(a->ring, a->slot, a->sleepable);
	struct fz_watcher *w = watcher(a->ring, a->slot);
	struct fz_rings *r = &e->rings[a->ring];
	__u32 before;
	int ret;

	if (!r->alive || r->links[a->slot])
		return -EBUSY;
	if (fz_slot_watches(a->slot)) {
		opts.flags = BPF_F_IOURING_MATCH;
		opts.opcodes[0] = a->opcodes;
		opts.user_data = a->user_data;
		opts.user_data_mask = a->user_data_mask;
	}
	before = watch_ok(w, 1 << a->sleepable);
	r->links[a->slot] = bpf_program__attach_iouring(prog, r->fd, &opts);
	if (r->links[a->slot]) {
		r->flow_size[a->slot] = a->flow_size;
		/* the one between the two with a table */
		if (a->slot == 3)
			skel->bss->rings[a->ring].plain = 1;
		return 0;
	}
	ret = -errno;
	watch_ok(w, before);
	return ret;
}

/* Read what the kernel tells about a link. */
static void show_link(struct bpf_link *link)
{
	struct bpf_link_info info = { };
	__u32 len = sizeof(info);
	char path[64], buf[512];
	int fd;

	bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &len);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(link));
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, buf, sizeof(buf)) < 0)
		fz_report("fdinfo", "of a link: %s", strerror(errno));
	close(fd);
}

void fz_step_link(struct fz_env *e, const struct fz_step *s)
{
	unsigned int slot = s->arg % FZ_SLOTS;
	struct fz_watcher *w = watcher(s->ring, slot);
	struct fz_rings *r = &e->rings[s->ring];
	struct bpf_program *prog;
	struct bpf_link *link;
	__u32 before;
	int ret;

	pthread_mutex_lock(&r->sq_lock);
	link = r->links[slot];
	switch (s->kind) {
	case ST_DETACH:
		r->links[slot] = NULL;
		/* without bpf_link__detach(), another process may keep the link */
		if (link && (s->arg2 & 1) && !bpf_link__detach(link))
			watch_ok(w, 0);
		bpf_link__destroy(link);
		break;
	case ST_UPDATE:
		if (!link)
			break;
		prog = program(s->ring, slot, s->arg2 & 1);
		before = watch_ok(w, 3);
		ret = bpf_link__update_program(link, prog);
		watch_ok(w, ret ? before : 1 << (s->arg2 & 1));
		show_link(link);
		break;
	case ST_ATTACH:
		if (!opt.control && e->c->nr_attach)
			fz_ring_attach(e, &e->c->attach[s->arg2 % e->c->nr_attach]);
		break;
	}
	pthread_mutex_unlock(&r->sq_lock);
}
