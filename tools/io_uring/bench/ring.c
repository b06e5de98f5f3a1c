// SPDX-License-Identifier: GPL-2.0
/* Rings, and the programs on them. */
#include "bench.h"
#include "bench_flow.skel.h"
#include "bench_loop.skel.h"

#include <bpf/btf.h>

/* By hand: a liburing older than IORING_SETUP_NO_SQARRAY fills the array in. */
static void ring_create(struct bench *b, unsigned int entries,
			unsigned int flags)
{
	int fd;

	b->params = (struct io_uring_params) {
		.flags		= IOU_DEFER | IORING_SETUP_NO_SQARRAY | flags,
	};
	fd = syscall(__NR_io_uring_setup, entries, &b->params);
	if (fd < 0)
		bench_die(b, "no ring");
	errno = -io_uring_queue_mmap(fd, &b->params, &b->ring);
	if (errno)
		bench_die(b, "cannot map the ring");
	b->ring.features = b->params.features;
	if (io_uring_register_ring_fd(&b->ring) != 1)
		bench_die(b, "cannot register the ring");
}

void bench_ring(struct bench *b, unsigned int flags)
{
	unsigned int entries = b->workload->flows;

	if (entries < BENCH_ENTRIES)
		entries = BENCH_ENTRIES;
	ring_create(b, entries, flags);
}

/* Opens the programs that flows run, and leaves only @prog to be loaded. */
void bench_open_flow(struct bench *b, const char *prog)
{
	struct bpf_program *p;

	b->flow = bench_flow__open();
	if (!b->flow)
		bench_die(b, "cannot open the programs");
	bpf_object__for_each_program(p, b->flow->obj)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), prog));
	b->prog = bpf_object__find_program_by_name(b->flow->obj, prog);
	if (!b->prog)
		bench_die(b, "no program %s", prog);
}

void bench_attach_flow(struct bench *b)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = b->arm->attach_flags);

	if (b->arm->opcode)
		opts.opcodes[b->arm->opcode / 64] = 1ULL << b->arm->opcode % 64;
	if (bench_flow__load(b->flow))
		bench_die(b, "cannot load the program");
	b->link = bpf_program__attach_iouring(b->prog, b->ring.ring_fd, &opts);
	if (!b->link)
		bench_die(b, "cannot attach the program");
}

/*
 * The same for programs that stand in for the wait loop of user space. Where
 * things are in the rings goes into constants of theirs.
 */
void bench_open_loop(struct bench *b, const char *prog)
{
	const struct io_cqring_offsets *off = &b->params.cq_off;
	struct bpf_program *p;

	b->loop = bench_loop__open();
	if (!b->loop)
		bench_die(b, "cannot open the programs");
	b->loop->rodata->cq_head_off = off->head;
	b->loop->rodata->cq_tail_off = off->tail;
	b->loop->rodata->cqes_off = off->cqes;
	b->loop->rodata->cq_entries = b->params.cq_entries;

	b->loop->struct_ops.loop_ops->ring_fd = b->ring.ring_fd;
	b->prog = bpf_object__find_program_by_name(b->loop->obj, prog);
	if (!b->prog)
		bench_die(b, "no program %s", prog);
	b->loop->struct_ops.loop_ops->loop_step = b->prog;
	bpf_object__for_each_program(p, b->loop->obj)
		bpf_program__set_autoload(p, p == b->prog);
}

void bench_attach_loop(struct bench *b)
{
	if (bench_loop__load(b->loop))
		bench_die(b, "cannot load the program");
	b->link = bpf_map__attach_struct_ops(b->loop->maps.loop_ops);
	if (!b->link)
		bench_die(b, "cannot attach the program");
}

/* Enters the kernel, which stays there until the program has had enough. */
void bench_run_loop(struct bench *b, unsigned int ops)
{
	b->loop->bss->todo = ops;
	b->loop->bss->left = ops;
	b->loop->bss->failed = 0;
	bench_check(b, io_uring_enter(b->ring.enter_ring_fd, 0, 0,
				      IORING_ENTER_GETEVENTS |
				      IORING_ENTER_REGISTERED_RING, NULL) == 0);
	bench_check(b, !b->loop->bss->failed);
	bench_check(b, !b->loop->bss->left);
}

/* Position and sum, of programs that have one for all operations. */
void bench_loop_reset(struct bench *b)
{
	if (!b->loop)
		return;
	b->loop->bss->next = 0;
	b->loop->bss->sum = 0;
}

unsigned int bench_loop_sum(struct bench *b)
{
	return b->loop->bss->sum;
}

/* An empty file that is gone with the arm. */
int bench_file(struct bench *b, const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/iou_bench.%s",
		 b->workload->need & NEED_XFS ? b->xfs : b->dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || unlink(path))
		bench_die(b, "cannot make %s", path);
	return fd;
}

/* Whole pages, which are gone with the arm. */
void *bench_alloc(struct bench *b, size_t size)
{
	b->buf = aligned_alloc(4096, size);
	if (!b->buf)
		bench_die(b, "no memory");
	return b->buf;
}

/* Registers b->fd[0] as file 0. */
void bench_register_file(struct bench *b)
{
	errno = -io_uring_register_files(&b->ring, b->fd, 1);
	if (errno)
		bench_die(b, "cannot register the file");
}

/* Registers b->buf as buffer 0, for requests and flows. */
void bench_register_buf(struct bench *b, size_t size)
{
	struct iovec iov = { .iov_base = b->buf, .iov_len = size };

	errno = -io_uring_register_buffers(&b->ring, &iov, 1);
	if (errno)
		bench_die(b, "cannot register the buffer");
}

/*
 * The same, and as the region that the kernel's loop lets programs look at,
 * which registered buffers are not.
 */
void bench_register(struct bench *b, size_t size)
{
	struct io_uring_region_desc desc = {
		.user_addr	= (unsigned long)b->buf,
		.size		= (size + 4095) & -4096,
		.flags		= IORING_MEM_REGION_TYPE_USER,
	};
	struct io_uring_mem_region_reg reg = {
		.region_uptr	= (unsigned long)&desc,
	};

	memset(b->buf, 0, size);
	if (!b->ring.cq.ktail)
		return;
	bench_register_buf(b, size);
	if (syscall(__NR_io_uring_register, b->ring.ring_fd,
		    IORING_REGISTER_MEM_REGION, &reg, 1))
		bench_die(b, "cannot register the region");
}

void bench_close(struct bench *b)
{
	int i;

	bpf_link__destroy(b->link);
	b->link = NULL;
	bench_flow__destroy(b->flow);
	b->flow = NULL;
	bench_loop__destroy(b->loop);
	b->loop = NULL;
	bpf_object__close(b->pattern);
	b->pattern = NULL;
	b->prog = NULL;
	if (b->ring.cq.ktail)
		io_uring_queue_exit(&b->ring);
	memset(&b->ring, 0, sizeof(b->ring));
	free(b->buf);
	b->buf = NULL;
	for (i = 0; i < 2; i++) {
		if (b->fd[i] >= 0)
			close(b->fd[i]);
		b->fd[i] = -1;
	}
}

/* A kernel with the option off has no such function. */
static bool has_flows(void)
{
	static struct btf *btf;

	if (!btf)
		btf = btf__load_vmlinux_btf();
	return btf && btf__find_by_name_kind(btf, "bpf_io_uring_issue",
					     BTF_KIND_FUNC) > 0;
}

/*
 * What of @need the kernel doesn't have, or NULL if it has all of it. Nothing
 * is tried: a ring with an SQ array makes those without it dearer for a second.
 */
const char *bench_missing(const struct bench *b, unsigned int need)
{
	if ((need & NEED_FLOW) && !has_flows())
		return "no IORING_OP_BPF";
	if ((need & NEED_NULL_BLK) && access("/sys/module/null_blk", F_OK))
		return "no null_blk";
	if ((need & NEED_XFS) && !b->xfs)
		return "no XFS";
	if ((need & NEED_PATTERN) && !b->patterns)
		return "no folder with patterns";
	if ((need & NEED_LMDB) && access("/usr/bin/mdb_load", X_OK))
		return "no mdb_load";
	return NULL;
}
