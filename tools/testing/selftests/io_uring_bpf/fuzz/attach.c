// SPDX-License-Identifier: GPL-2.0
/* Attachment of programs to rings, and the steps that change it */
#include "env.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include "fuzz.skel.h"

static struct bpf_program *program(unsigned int ring, bool watch, bool sleepable,
				   bool plain)
{
	struct bpf_program *flow[2][3] = {
		{ skel->progs.flow0, skel->progs.flow1, skel->progs.flow2 },
		{ skel->progs.flow_s0, skel->progs.flow_s1, skel->progs.flow_s2 },
	};
	struct bpf_program *watches[2][3] = {
		{ skel->progs.watch0, skel->progs.watch1, skel->progs.watch2 },
		{ skel->progs.watch_s0, skel->progs.watch_s1, skel->progs.watch_s2 },
	};

	if (watch && plain)
		return skel->progs.watch_plain;
	return (watch ? watches : flow)[sleepable][ring];
}

/* Set which watching programs of a ring may run. Return the previous value. */
static __u32 watch_ok(unsigned int ring, __u32 bits)
{
	return __atomic_exchange_n(&skel->bss->rings[ring].watch_ok, bits,
				   __ATOMIC_ACQ_REL);
}

int fz_ring_attach(struct fz_env *e, const struct fz_attach *a)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = a->slot);
	struct bpf_program *prog = program(a->ring, a->watch, a->sleepable, a->plain);
	struct fz_rings *r = &e->rings[a->ring];
	__u32 before = 0;
	int ret;

	if (!r->alive || r->links[a->slot])
		return -EBUSY;
	if (a->watch) {
		opts.flags = BPF_F_IOURING_MATCH;
		opts.opcodes[0] = a->opcodes;
		opts.user_data = a->user_data;
		opts.user_data_mask = a->user_data_mask;
	}
	if (a->watch && !a->plain)
		before = watch_ok(a->ring, 1 << a->sleepable);
	r->links[a->slot] = bpf_program__attach_iouring(prog, r->fd, &opts);
	if (r->links[a->slot])
		return 0;
	ret = -errno;
	if (a->watch && !a->plain)
		watch_ok(a->ring, before);
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
	struct fz_rings *r = &e->rings[s->ring];
	unsigned int slot = s->arg % FZ_SLOTS;
	struct bpf_program *prog;
	struct bpf_link *link;
	__u32 before = 0;
	int ret;

	pthread_mutex_lock(&r->sq_lock);
	link = r->links[slot];
	switch (s->kind) {
	case ST_DETACH:
		r->links[slot] = NULL;
		/* without bpf_link__detach(), another process may keep the link */
		if (link && (s->arg2 & 1) && !bpf_link__detach(link) && slot == 2)
			watch_ok(s->ring, 0);
		bpf_link__destroy(link);
		break;
	case ST_UPDATE:
		if (!link)
			break;
		prog = program(s->ring, slot >= 2, s->arg2 & 1, slot == 3);
		if (slot == 2)
			before = watch_ok(s->ring, 3);
		ret = bpf_link__update_program(link, prog);
		if (slot == 2)
			watch_ok(s->ring, ret ? before : 1 << (s->arg2 & 1));
		show_link(link);
		break;
	case ST_ATTACH:
		if (!opt.control && e->c->nr_attach)
			fz_ring_attach(e, &e->c->attach[s->arg2 % e->c->nr_attach]);
		break;
	}
	pthread_mutex_unlock(&r->sq_lock);
}
