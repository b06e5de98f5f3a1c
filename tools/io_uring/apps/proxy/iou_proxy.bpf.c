// SPDX-License-Identifier: GPL-2.0
/*
 * A TCP proxy: one flow accepts, connects, passes on and closes all connections.
 *
 * A direction has one child at a time: a receive that selects a provided buffer, then
 * sends until the buffer is empty. So nothing is received that cannot be sent yet, data
 * stays in order, and a connection without data has no buffer.
 *
 * The ends of a connection:
 *
 * - The end of a stream is passed on by a shutdown, after all data. The other direction
 *   continues. When both have ended, both sockets are closed.
 * - If a side is lost (reset, timeout of TCP), data that was received before is sent
 *   first. When the other side has acknowledged all of it, it gets a reset.
 * - A connection without progress is reset on both sides. So is one whose server cannot
 *   be reached: the end of a stream would look like the whole answer.
 *
 * Whatever ends a connection, first its children are cancelled. When the last one has
 * completed, which the bits of in_flight tell, the sockets are closed.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <iou/iou.bpf.h>
#include "iou_proxy.h"

char LICENSE[] SEC("license") = "GPL";

#define NSEC_PER_MSEC	1000000ULL

/* Child of a connection: bit of in_flight, and the low byte of user_data */
enum child {
	/* for a side, plus the number of the side */
	CHILD_RECV		= 0,
	CHILD_SEND		= 2,
	CHILD_WATCH		= 4,	/* for the loss of a side that has ended its stream */
	CHILD_SHUT		= 6,
	CHILD_LINGER		= 8,
	CHILD_CLOSE		= 10,
	/* for the connection */
	CHILD_ACCEPT		= 12,
	CHILD_SOCKET,
	CHILD_NODELAY,
	CHILD_CONNECT,
	CHILD_OUTQ,
	CHILD_TIMER,
	/* of no connection: the pause after an accept that has failed */
	CHILD_RETRY,
};

/* what can wait for ever; the timer is the last one that is cancelled */
#define CANCELLABLE	(3U << CHILD_RECV | 3U << CHILD_SEND | 3U << CHILD_WATCH |	\
			 1U << CHILD_CONNECT | 1U << CHILD_TIMER)

/* set by the application */
const volatile __u32 nr_conns;
const volatile __u32 nr_bufs;
const volatile __u32 buf_size;
const volatile __u64 buf_mem;
const volatile __u64 idle;		/* ns */
const volatile __s32 listen_fd;
const volatile __s32 family;
const volatile __u64 server_addr;
const volatile __u32 server_addrlen;
const volatile __u64 linger_addr;	/* of a struct linger that resets */
const volatile __u64 one_addr;		/* of an int, 1 */
/* these differ between architectures */
const volatile __u32 sol_socket;
const volatile __u32 so_linger;

bool stopping;				/* accept no more */
struct proxy_stats stats;

/* connections that were used and are free; all from fresh on never were used */
__u32 first_free;			/* index + 1 */
__u32 fresh;
bool accepting;				/* an accept or the pause after it is in flight */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct proxy_conn);
} conns SEC(".maps");

/* Queue of directions that wait for a buffer: index of the connection * 2 + side */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} waiting SEC(".maps");

__u32 waiting_head;
__u32 waiting_len;

/* Issue a child. No error is to be expected: see CHILDREN of main.c. */
static void start(struct bpf_io_uring_ctx *ctx, struct io_uring_sqe *sqe,
		  struct proxy_conn *c, __u32 i, __u32 child)
{
	int ret;

	io_uring_sqe_set_data64(sqe, (__u64)i << 8 | child);
	ret = iou_issue(ctx, sqe);
	if (ret)
		bpf_io_uring_complete(ctx, ret);
	else
		c->in_flight |= 1U << child;
}

static void start_timer(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u64 ns)
{
	struct io_uring_sqe sqe;

	io_uring_prep_timeout(&sqe, ns, 0, IORING_TIMEOUT_IMMEDIATE_ARG);
	start(ctx, &sqe, c, i, CHILD_TIMER);
}

static void start_recv(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 side)
{
	struct proxy_dir *d = &c->dir[side & 1];
	struct io_uring_sqe sqe;

	io_uring_prep_recv(&sqe, i * 2 + side, 0, 0, 0);
	io_uring_sqe_set_flags(&sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_buf_group(&sqe, 0);
	if (!d->more)
		sqe.ioprio = IORING_RECVSEND_POLL_FIRST;
	d->state = DIR_BUSY;
	start(ctx, &sqe, c, i, CHILD_RECV + side);
}

/* Without MSG_WAITALL, so that a part is progress. */
static void start_send(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 side)
{
	struct proxy_dir *d = &c->dir[side & 1];
	struct io_uring_sqe sqe;

	io_uring_prep_send(&sqe, i * 2 + !side, buf_mem + (__u64)d->buf * buf_size + d->sent,
			   d->len - d->sent, 0);
	io_uring_sqe_set_flags(&sqe, IOSQE_FIXED_FILE);
	start(ctx, &sqe, c, i, CHILD_SEND + side);
}

/* Wait for the loss of a side. Multishot, as a single poll would end with POLLRDHUP. */
static void start_watch(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 side)
{
	struct io_uring_sqe sqe;

	io_uring_prep_poll_add(&sqe, i * 2 + side, 0);
	sqe.len = IORING_POLL_ADD_MULTI;
	io_uring_sqe_set_flags(&sqe, IOSQE_FIXED_FILE);
	start(ctx, &sqe, c, i, CHILD_WATCH + side);
}

static void prep_socket_cmd(struct io_uring_sqe *sqe, int op, __u32 socket)
{
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, socket, 0, 0, 0);
	sqe->cmd_op = op;
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
}

static void start_outq(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	struct io_uring_sqe sqe;

	prep_socket_cmd(&sqe, SOCKET_URING_OP_SIOCOUTQ, i * 2 + (c->drain >> SERVER));
	start(ctx, &sqe, c, i, CHILD_OUTQ);
}

/* Make a socket, and connect it to the server, in a chain. */
static void start_connect(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	__u32 socket = i * 2 + SERVER;
	struct io_uring_sqe sqe;

	io_uring_prep_socket(&sqe, family, SOCK_STREAM, 0, 0);
	sqe.file_index = socket + 1;
	io_uring_sqe_set_flags(&sqe, IOSQE_IO_LINK);
	start(ctx, &sqe, c, i, CHILD_SOCKET);

	prep_socket_cmd(&sqe, SOCKET_URING_OP_SETSOCKOPT, socket);
	sqe.level = IPPROTO_TCP;
	sqe.optname = 1;	/* TCP_NODELAY */
	sqe.optval = one_addr;
	sqe.optlen = sizeof(int);
	io_uring_sqe_set_flags(&sqe, IOSQE_FIXED_FILE | IOSQE_IO_LINK);
	start(ctx, &sqe, c, i, CHILD_NODELAY);

	io_uring_prep_connect(&sqe, socket, server_addr, server_addrlen);
	io_uring_sqe_set_flags(&sqe, IOSQE_FIXED_FILE);
	start(ctx, &sqe, c, i, CHILD_CONNECT);
}

/* Close a side. The hard link closes it even if the option cannot be set. */
static void start_close(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 side)
{
	struct io_uring_sqe sqe;

	if (!(c->open & 1U << side))
		return;
	if (c->reset) {
		prep_socket_cmd(&sqe, SOCKET_URING_OP_SETSOCKOPT, i * 2 + side);
		sqe.level = sol_socket;
		sqe.optname = so_linger;
		sqe.optval = linger_addr;
		sqe.optlen = 2 * sizeof(int);
		io_uring_sqe_set_flags(&sqe, IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK);
		start(ctx, &sqe, c, i, CHILD_LINGER + side);
	}
	io_uring_prep_close_direct(&sqe, i * 2 + side);
	start(ctx, &sqe, c, i, CHILD_CLOSE + side);
}

/* Accept the next client, if there is a connection for it. Others wait in the backlog. */
static void accept_next(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;
	struct proxy_conn *c;
	__u32 i;

	if (stopping || accepting || iou_is_ending(ctx))
		return;
	i = first_free ? first_free - 1 : fresh;
	c = bpf_map_lookup_elem(&conns, &i);
	if (!c)
		return;
	if (first_free)
		first_free = c->next_free;
	else
		fresh++;
	c->state = CONN_ACCEPTING;
	io_uring_prep_accept(&sqe, listen_fd, 0, 0, 0);
	sqe.file_index = i * 2 + CLIENT + 1;
	accepting = true;
	start(ctx, &sqe, c, i, CHILD_ACCEPT);
}

static void free_conn(struct proxy_conn *c, __u32 i)
{
	c->state = CONN_FREE;
	c->next_free = first_free;
	first_free = i + 1;
}

/* The first direction that waits for a buffer receives again. */
static void feed(struct bpf_io_uring_ctx *ctx)
{
	struct proxy_conn *c;
	__u32 *entry, i, side;
	int n;

	/* the connection of an entry can have ended, and even be another one by now */
	bpf_for(n, 0, nr_conns * 2) {
		if (!waiting_len)
			return;
		entry = bpf_map_lookup_elem(&waiting, &waiting_head);
		if (!entry)
			return;
		i = *entry >> 1;
		side = *entry & 1;
		waiting_head = waiting_head + 1 < nr_conns * 2 ? waiting_head + 1 : 0;
		waiting_len--;
		c = bpf_map_lookup_elem(&conns, &i);
		if (!c)
			return;
		c->dir[side].queued = 0;
		if (c->state == CONN_OPEN && c->dir[side].state == DIR_STARVED) {
			start_recv(ctx, c, i, side);
			return;
		}
	}
}

/* Append a direction to the queue, which has an entry for each. */
static void starve(struct proxy_conn *c, __u32 i, __u32 side)
{
	__u32 tail = waiting_head + waiting_len, *entry;
	struct proxy_dir *d = &c->dir[side & 1];

	stats.starved++;
	d->state = DIR_STARVED;
	if (d->queued)
		return;
	if (tail >= nr_conns * 2)
		tail -= nr_conns * 2;
	entry = bpf_map_lookup_elem(&waiting, &tail);
	if (!entry)
		return;
	*entry = i * 2 + side;
	d->queued = 1;
	waiting_len++;
}

static void take_buf(void)
{
	stats.in_use++;
	if (stats.in_use > stats.in_use_max)
		stats.in_use_max = stats.in_use;
}

static void give_buf(struct bpf_io_uring_ctx *ctx, __u32 buf)
{
	int ret;

	ret = bpf_io_uring_buf_give(ctx, 0, buf, buf_mem + (__u64)buf * buf_size, buf_size);
	if (ret)
		bpf_io_uring_complete(ctx, ret);
	stats.in_use--;
	feed(ctx);
}

static void cancel_children(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	int child;

	bpf_for(child, 0, CHILD_TIMER + 1)
		if (c->in_flight & CANCELLABLE & 1U << child)
			iou_end_on_error(ctx, bpf_io_uring_cancel(ctx, (__u64)i << 8 | child,
								  0));
}

/* Cancel the children, again and again: one that is between two waits is not found. */
static void cancel_until_ended(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	cancel_children(ctx, c, i);
	if (c->in_flight && !(c->in_flight & 1U << CHILD_TIMER))
		start_timer(ctx, c, i, 10 * NSEC_PER_MSEC);
}

/* End the connection when all children have completed. */
static void end(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	c->state = CONN_CANCELLING;
	cancel_until_ended(ctx, c, i);
}

/* Reset the connection, with what was sent to @drain, a bit of a side, before. */
static void reset(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 drain)
{
	c->reset = 1;
	c->drain = drain & ~c->dead;
	end(ctx, c, i);
}

/* The stream of a side has ended, or the side is lost, and nothing is left to send. */
static void end_dir(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 side)
{
	struct io_uring_sqe sqe;

	c->dir[side & 1].state = DIR_ENDED;
	if (c->dead & 1U << side) {
		reset(ctx, c, i, 1U << !side);
		return;
	}
	if (c->dir[!side].state == DIR_ENDED) {
		end(ctx, c, i);
		return;
	}
	io_uring_prep_shutdown(&sqe, i * 2 + !side, SHUT_WR);
	io_uring_sqe_set_flags(&sqe, IOSQE_FIXED_FILE);
	start(ctx, &sqe, c, i, CHILD_SHUT + side);
	start_watch(ctx, c, i, side);
}

static void on_accept(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	struct io_uring_sqe sqe;
	int ret;

	accepting = false;
	if (ctx->res >= 0) {
		stats.accepted++;
		stats.open++;
		if (stats.open > stats.open_max)
			stats.open_max = stats.open;
		c->dir[CLIENT].state = DIR_IDLE;
		c->dir[SERVER].state = DIR_IDLE;
		c->active = bpf_ktime_get_ns();
		c->state = CONN_CONNECTING;
		c->open = 1U << CLIENT;
		c->dead = 0;
		c->reset = 0;
		c->drain = 0;
		start_connect(ctx, c, i);
		start_timer(ctx, c, i, idle);
		accept_next(ctx);
		return;
	}
	free_conn(c, i);
	if (stopping)
		return;
	stats.errors++;
	/* there may be no memory or file, and would be none at once */
	accepting = true;
	io_uring_prep_timeout(&sqe, 100 * NSEC_PER_MSEC, 0, IORING_TIMEOUT_IMMEDIATE_ARG);
	io_uring_sqe_set_data64(&sqe, CHILD_RETRY);
	ret = iou_issue(ctx, &sqe);
	if (ret)
		bpf_io_uring_complete(ctx, ret);
}

static void on_connect(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	if (c->state != CONN_CONNECTING)
		return;
	if (ctx->res < 0) {
		stats.refused++;
		reset(ctx, c, i, 0);
		return;
	}
	c->state = CONN_OPEN;
	c->active = bpf_ktime_get_ns();
	c->dir[CLIENT].more = 0;
	c->dir[SERVER].more = 0;
	start_recv(ctx, c, i, CLIENT);
	start_recv(ctx, c, i, SERVER);
}

/* Return the verdict: the program owns the buffer that the completion carries. */
static int on_recv(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 side)
{
	struct proxy_dir *d = &c->dir[side & 1];
	bool has_buf = ctx->cflags & IORING_CQE_F_BUFFER;

	if (has_buf)
		take_buf();
	if (c->state == CONN_OPEN && ctx->res > 0 && has_buf) {
		c->active = bpf_ktime_get_ns();
		d->more = !!(ctx->cflags & IORING_CQE_F_SOCK_NONEMPTY);
		d->buf = iou_buf_id(ctx);
		d->len = ctx->res;
		d->sent = 0;
		start_send(ctx, c, i, side);
		return BPF_IO_URING_DROP_BUF;
	}
	if (has_buf)
		give_buf(ctx, iou_buf_id(ctx));
	if (c->state != CONN_OPEN)
		return BPF_IO_URING_DROP_BUF;
	if (ctx->res == -ENOBUFS) {
		d->more = 1;
		/* a buffer that has come back since does not end the wait */
		if (stats.in_use < nr_bufs)
			start_recv(ctx, c, i, side);
		else
			starve(c, i, side);
		return BPF_IO_URING_DROP_BUF;
	}
	if (ctx->res < 0)
		c->dead |= 1U << side;
	end_dir(ctx, c, i, side);
	return BPF_IO_URING_DROP_BUF;
}

/* A side is lost: its receives return what came before, and then end. */
static bool is_lost(__s32 res)
{
	return res == -EPIPE || res == -ECONNRESET || res == -ETIMEDOUT ||
	       res == -EHOSTUNREACH || res == -ENETUNREACH;
}

static void on_send(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 side)
{
	struct proxy_dir *d = &c->dir[side & 1];

	if (ctx->res > 0) {
		c->active = bpf_ktime_get_ns();
		stats.bytes[side & 1] += ctx->res;
		d->sent += ctx->res;
		if (c->state == CONN_OPEN && d->sent < d->len) {
			start_send(ctx, c, i, side);
			return;
		}
	}
	give_buf(ctx, d->buf);
	if (c->state != CONN_OPEN)
		return;
	if (ctx->res > 0) {
		start_recv(ctx, c, i, side);
		return;
	}
	d->state = DIR_ENDED;
	if (is_lost(ctx->res))
		c->dead |= 1U << !side;
	/* otherwise the other direction goes on until it notices the loss */
	if (!is_lost(ctx->res) || c->dir[!side].state == DIR_ENDED)
		reset(ctx, c, i, 1U << side);
}

static void on_watch(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 side)
{
	if (c->state == CONN_OPEN) {
		if (ctx->res < 0 || ctx->res & (POLLERR | POLLHUP)) {
			c->dead |= 1U << side;
			reset(ctx, c, i, 1U << !side);
		} else if (ctx->event != BPF_IO_URING_AUX) {
			start_watch(ctx, c, i, side);
		}
	} else if (c->state == CONN_DRAINING) {
		/* POLLHUP alone can be the end of both streams, with data on its way */
		if (ctx->res > 0 && ctx->res & POLLERR)
			reset(ctx, c, i, 0);
	}
}

static void on_timer(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	__u64 passed = bpf_ktime_get_ns() - c->active;

	switch (c->state) {
	case CONN_CONNECTING:
	case CONN_OPEN:
		if (passed < idle) {
			start_timer(ctx, c, i, idle - passed);
			return;
		}
		stats.idle++;
		reset(ctx, c, i, 0);
		return;
	case CONN_DRAINING:
		start_outq(ctx, c, i);
		return;
	case CONN_CANCELLING:
		cancel_until_ended(ctx, c, i);
		return;
	}
}

/* Look again later, until the peer has acknowledged everything or makes no progress. */
static void on_outq(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	__u64 now = bpf_ktime_get_ns();

	if (c->state != CONN_DRAINING)
		return;
	if (ctx->res > 0 && ctx->res < c->outq) {
		c->outq = ctx->res;
		c->active = now;
	}
	if (ctx->res <= 0 || now - c->active >= idle) {
		reset(ctx, c, i, 0);
		return;
	}
	start_timer(ctx, c, i, c->pause);
	if (c->pause < 256 * NSEC_PER_MSEC)
		c->pause *= 2;
}

/* Take the next step of an end, if the children of the last one have completed. */
static void settle(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i)
{
	if (c->state == CONN_CANCELLING && !c->in_flight) {
		if (c->drain) {
			c->state = CONN_DRAINING;
			c->outq = -1;
			c->pause = NSEC_PER_MSEC;
			start_watch(ctx, c, i, c->drain >> SERVER);
			start_outq(ctx, c, i);
		} else {
			c->state = CONN_CLOSING;
			start_close(ctx, c, i, CLIENT);
			start_close(ctx, c, i, SERVER);
		}
	} else if (c->state == CONN_CLOSING && !c->in_flight) {
		stats.ended++;
		stats.open--;
		stats.resets += c->reset;
		free_conn(c, i);
		accept_next(ctx);
	}
}

static int on_child(struct bpf_io_uring_ctx *ctx, struct proxy_conn *c, __u32 i, __u32 child)
{
	__u32 side = child & 1;

	switch (child) {
	case CHILD_RECV:
	case CHILD_RECV + 1:
		return on_recv(ctx, c, i, side);
	case CHILD_SEND:
	case CHILD_SEND + 1:
		on_send(ctx, c, i, side);
		break;
	case CHILD_WATCH:
	case CHILD_WATCH + 1:
		on_watch(ctx, c, i, side);
		break;
	case CHILD_ACCEPT:
		on_accept(ctx, c, i);
		break;
	case CHILD_SOCKET:
		if (ctx->res >= 0)
			c->open |= 1U << SERVER;
		break;
	case CHILD_CONNECT:
		on_connect(ctx, c, i);
		break;
	case CHILD_OUTQ:
		on_outq(ctx, c, i);
		break;
	case CHILD_TIMER:
		on_timer(ctx, c, i);
		break;
	}
	return BPF_IO_URING_DROP;
}

SEC("iouring")
int iou_proxy(struct bpf_io_uring_ctx *ctx)
{
	__u32 child = ctx->user_data & 31, i = ctx->user_data >> 8;
	int verdict = BPF_IO_URING_DROP;
	struct proxy_conn *c;

	stats.runs++;
	/* The application ends the flow to exit, and the exit closes the sockets. */
	if (iou_is_ending(ctx))
		return iou_is_child(ctx) ? BPF_IO_URING_DROP_BUF : BPF_IO_URING_DEFAULT;
	if (!iou_is_child(ctx)) {
		accept_next(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	c = bpf_map_lookup_elem(&conns, &i);
	if (!c)
		return iou_end(ctx, -EINVAL);
	if (child == CHILD_RETRY) {
		accepting = false;
		accept_next(ctx);
	} else {
		if (ctx->event != BPF_IO_URING_AUX)
			c->in_flight &= ~(1U << child);
		verdict = on_child(ctx, c, i, child);
		settle(ctx, c, i);
	}
	/* the error of a child is not the result of the flow */
	ctx->res = 0;
	return verdict;
}
