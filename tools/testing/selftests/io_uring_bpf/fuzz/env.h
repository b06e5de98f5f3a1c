/* SPDX-License-Identifier: GPL-2.0 */
/* Environment of a worker: the files, memory and rings that requests use */
#ifndef FUZZ_ENV_H
#define FUZZ_ENV_H

#include "fuzz.h"

#include <linux/futex.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

enum fz_fd {
	FD_PIPE0_R, FD_PIPE0_W,
	/* contains data */
	FD_PIPE1_R, FD_PIPE1_W,
	FD_EVENT0, FD_EVENT1,
	FD_SOCK_A, FD_SOCK_B,
	/* A has data to read */
	FD_DATA_A, FD_DATA_B,
	/* datagram socket, its peer receives the uid of the sender */
	FD_MSG,
	/* has pending connections */
	FD_LISTEN,
	FD_FILE, FD_DIRECT, FD_NULLB, FD_ZERO,
	FD_EPOLL, FD_TIMER, FD_DIR,
	/* requests may close it */
	FD_DUP,
	FD_BAD,
	/* not in the file table of rings, see fz_derive() */
	FD_TCP_A, FD_TCP_B,
	FD_RING0, FD_RING1, FD_RING2,
	FD_NR
};

/* number of descriptors that are in the file table of each ring */
#define FD_IN_TABLE	FD_TCP_A
/* file table: first free slot, slot of the pipe that shows the end of the ring, size */
#define TABLE_FREE	24
#define TABLE_LIFELINE	31
#define TABLE_NR	32

/*
 * Threads in terms of credentials, besides those that submit: flows with personality
 * 1 or 2, and the SQ threads of the rings
 */
#define SQ_THREADS	(FZ_THREADS - FZ_RINGS)
#define ROOT_THREAD	(SQ_THREADS - 2)

#define FZ_UIDS		64
/* value of fz_env.id_flow[] */
#define SHARED_ID	(FZ_FLOWS + 1)
#define FZ_DATA		8
/* values of fz_sqe.buf for an absent page and for an invalid address */
#define BUF_HOLE	7
#define BUF_BAD		6

/* groups of provided buffers */
#define BGID_RING	1
#define BGID_CLASSIC	2
#define BGID_INC	3
#define BGID_NR		4

struct fz_mem {
	char	data[FZ_DATA][4096];
	/* registered buffer FZ_BUF_KNOWN: each byte is fz_known(offset) */
	__u8	known[FZ_BUF_SIZE];
	/* registered buffer FZ_BUF_OWN of each ring */
	__u8	own[FZ_RINGS][FZ_BUF_SIZE];
	char	provided[BGID_NR][8][256];
	/* datagrams, see msg_addr(); the first one is not checked */
	char	msgs[FZ_MSGS + 1][8];
	struct iovec iov[FZ_DATA][2];
	struct msghdr msg[FZ_DATA];
	struct __kernel_timespec ts[6];
	struct sockaddr_un un;
	struct epoll_event ev[4];
	struct futex_waitv waitv[2];
	struct statx statx;
	siginfo_t info;
	__u32	futex[4];
	/* what is written to an eventfd */
	__u64	one;
	__s32	fds[4];
	__s32	pipe[2];
	char	path[4][64];
};

struct fz_rings {
	int	fd;
	/* for io_uring_enter(), with a registered ring descriptor */
	int	enter_fd;
	__u32	enter_flags;
	pid_t	owner;
	/* the newest CQE of bpf_io_uring_post_cqe() that was reaped */
	__u32	posted;
	__u32	setup;
	__u32	sq_entries, cq_entries;
	char	*mem, *sqes;
	size_t	mem_size, sqes_size;
	struct io_uring_params p;
	pthread_mutex_t sq_lock, cq_lock;
	bool	alive;
	/* the buffers were registered */
	bool	buffers;
	struct bpf_link *links[FZ_SLOTS];
	/* memory of the flows of each slot */
	__u32	flow_size[FZ_SLOTS];
	int	personality[2];
	/* uid of the SQ thread */
	__u32	sq_uid;
};

struct fz_env {
	const struct fz_case *c;
	struct fz_mem *mem;
	/* page that is absent until fz_env_fill_hole() */
	char	*hole;
	int	uffd;
	int	fds[FD_NR];
	int	msg_peer;
	struct fz_rings rings[FZ_RINGS];
	pid_t	pid;
	__u32	next_flow;
	/* uids that threads have set, in order */
	__u32	uids[FZ_UIDS];
	__u32	nr_uids;
	/* for ids of a single flow: index of the flow, plus 1, else SHARED_ID */
	__u16	id_flow[FZ_IDS];
	/* a ring was closed with its CQEs: CQEs cannot be checked */
	bool	lost;
	/* number of requests that the application submitted */
	__u64	owed;
};

static inline __u32 load(const void *p)
{
	return __atomic_load_n((const __u32 *)p, __ATOMIC_ACQUIRE);
}

static inline void store(void *p, __u32 v)
{
	__atomic_store_n((__u32 *)p, v, __ATOMIC_RELEASE);
}

/* env.c */
int fz_env_init(struct fz_env *e, const struct fz_case *c);
void fz_env_trigger(struct fz_env *e, unsigned int what);
void fz_env_fill_hole(struct fz_env *e);
void fz_env_empty_hole(struct fz_env *e);
void fz_env_shut(struct fz_env *e);
/* ring.c */
int fz_ring_init(struct fz_env *e, unsigned int nr, int lifeline);
int fz_ring_enter(struct fz_rings *r, unsigned int submit, unsigned int wait,
		  unsigned int flags, unsigned int ms);
int fz_ring_register(struct fz_rings *r, unsigned int op, void *arg,
		     unsigned int nr);
int fz_ring_reap(struct fz_env *e, struct fz_rings *r);
unsigned int fz_ring_overflow(struct fz_rings *r);
struct io_uring_sqe *fz_ring_sqe(struct fz_rings *r, unsigned int n);
int fz_ring_push(struct fz_rings *r, unsigned int nr);
void fz_ring_close(struct fz_rings *r);
int fz_ring_resize(struct fz_rings *r, unsigned int sq, unsigned int cq);
int fz_ring_buffers(struct fz_env *e, struct fz_rings *r);
int fz_ring_sync_cancel(struct fz_rings *r, __u64 ud, __u32 flags, int fd, __u8 op);
/* attach.c */
int fz_ring_attach(struct fz_env *e, const struct fz_attach *a);
void fz_step_link(struct fz_env *e, const struct fz_step *s);
/* prepare.c */
void fz_prepare_tables(struct fz_env *e);
void fz_prepare_templates(struct fz_env *e);
void fz_prepare_filters(const struct fz_case *c);
/* check.c */
void fz_check_cqe(struct fz_env *e, struct fz_rings *r, const struct io_uring_cqe *cqe);
void fz_check_uids(struct fz_env *e);
void fz_check_cqes(struct fz_env *e);
void fz_check_overflow(struct fz_env *e);
unsigned int fz_unpaid(void);
/* life.c */
void fz_step(struct fz_env *e, const struct fz_step *s, unsigned int thread);

#endif
