// SPDX-License-Identifier: GPL-2.0
/*
 * iou-proxy: a TCP proxy whose work is done by one flow. This process sets up, sleeps in
 * one io_uring_enter(), and wakes up for signals.
 */
#include "iou_bpf.h"
#include <getopt.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "iou_proxy.h"
#include "iou_proxy.skel.h"

#define NSEC_PER_SEC	1000000000ULL

/* user_data of the requests of this process */
enum { FLOW = 1, SIGNAL, LINGER };

/*
 * The CQ has an entry for each child that can be in flight: of a connection, a receive or
 * send and a watch for each side, or four for closing, the timer, and a few at once while
 * one step ends and the next begins.
 */
#define CHILDREN	8
#define SQ_ENTRIES	64
#define MAX_CONNS	8000
#define MAX_BUFS	32768

struct proxy {
	struct iou_proxy		*skel;
	struct io_uring			ring;
	bool				ring_ok;
	struct bpf_link			*link;
	struct proxy_conn		*conns;
	size_t				conns_size;
	struct io_uring_buf_ring	*br;
	size_t				br_size;
	char				*mem;
	size_t				mem_size;
	unsigned int			port;		/* of listen_fd */
	int				listen_fd;
	int				signal_fd;
	struct signalfd_siginfo		signal;
	unsigned long			enters;
	unsigned long			cqes;
	unsigned int			nr_conns;
	unsigned int			nr_bufs;
	unsigned int			buf_size;
	__u64				idle;
	struct sockaddr_storage		server;
	socklen_t			server_len;
};

static const struct linger reset = { .l_onoff = 1 };
static const int one = 1;

static const char usage[] =
"usage: iou-proxy [OPTION...] LISTEN SERVER\n"
"\n"
"Accept TCP connections at LISTEN, and pass their data to SERVER and back. Both are\n"
"HOST:PORT, with an IPv6 address in brackets; the port of LISTEN can be 0.\n"
"\n"
"  -c, --connections=N  connections at a time, further clients wait (1000)\n"
"  -b, --buffers=N      buffers of all connections (two for each connection)\n"
"  -s, --size=BYTES     size of a buffer (16384)\n"
"  -i, --idle=SECONDS   reset a connection after this time without progress (300)\n"
"  -h, --help\n"
"\n"
"SIGUSR1 prints statistics. SIGTERM and SIGINT end the proxy when all connections have\n"
"ended, and a second one resets those that are left.\n"
"\n"
"Exit status: 0, 1 after an error, 2 if the arguments are wrong.\n";

static int fail(const char *what, int err)
{
	fprintf(stderr, "iou-proxy: %s: %s\n", what, strerror(err < 0 ? -err : err));
	return -1;
}

static int wrong(const char *what, const char *arg)
{
	fprintf(stderr, "iou-proxy: %s: %s\n%s", what, arg, usage);
	exit(2);
}

static double number(const char *name, const char *arg, double min, double max)
{
	char *rest;
	double val;

	errno = 0;
	val = strtod(arg, &rest);
	if (rest == arg || *rest || errno || !(val >= min && val <= max))
		wrong(name, arg);
	return val;
}

/* Split HOST:PORT, and look it up. The caller frees the result. */
static struct addrinfo *lookup(const char *arg, int flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags }, *ai;
	char host[256], *colon, *name = host;
	size_t len;
	int err;

	if (snprintf(host, sizeof(host), "%s", arg) >= (int)sizeof(host))
		wrong("address", arg);
	colon = strrchr(host, ':');
	if (!colon || !colon[1])
		wrong("address without a port", arg);
	*colon = 0;
	len = strlen(host);
	if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = 0;
		name++;
	}
	err = getaddrinfo(*name ? name : NULL, colon + 1, &hints, &ai);
	if (err) {
		fprintf(stderr, "iou-proxy: %s: %s\n", arg, gai_strerror(err));
		return NULL;
	}
	return ai;
}

static int open_listener(struct proxy *p, const char *arg)
{
	struct addrinfo *ai = lookup(arg, AI_PASSIVE);
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int ret = -1;

	if (!ai)
		return -1;
	p->listen_fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* connections inherit TCP_NODELAY */
	if (p->listen_fd < 0 ||
	    setsockopt(p->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(p->listen_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    bind(p->listen_fd, ai->ai_addr, ai->ai_addrlen) || listen(p->listen_fd, INT_MAX) ||
	    getsockname(p->listen_fd, (struct sockaddr *)&addr, &len)) {
		fail(arg, errno);
	} else {
		/* at the same place for IPv4 and IPv6 */
		p->port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
		ret = 0;
	}
	freeaddrinfo(ai);
	return ret;
}

static int find_server(struct proxy *p, const char *arg)
{
	struct addrinfo *ai = lookup(arg, 0);

	if (!ai)
		return -1;
	memcpy(&p->server, ai->ai_addr, ai->ai_addrlen);
	p->server_len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return 0;
}

static int load(struct proxy *p)
{
	struct iou_proxy *skel = iou_proxy__open();

	p->skel = skel;
	if (!skel)
		return fail("cannot open the program", errno);
	skel->rodata->nr_conns = p->nr_conns;
	skel->rodata->nr_bufs = p->nr_bufs;
	skel->rodata->buf_size = p->buf_size;
	skel->rodata->buf_mem = (unsigned long)p->mem;
	skel->rodata->idle = p->idle;
	skel->rodata->listen_fd = p->listen_fd;
	skel->rodata->family = p->server.ss_family;
	skel->rodata->server_addr = (unsigned long)&p->server;
	skel->rodata->server_addrlen = p->server_len;
	skel->rodata->linger_addr = (unsigned long)&reset;
	skel->rodata->one_addr = (unsigned long)&one;
	skel->rodata->sol_socket = SOL_SOCKET;
	skel->rodata->so_linger = SO_LINGER;
	bpf_map__set_max_entries(skel->maps.conns, p->nr_conns);
	bpf_map__set_max_entries(skel->maps.waiting, p->nr_conns * 2);
	if (iou_proxy__load(skel))
		return fail("cannot load the program", errno);

	p->conns_size = p->nr_conns * ((sizeof(*p->conns) + 7) & ~7UL);
	p->conns = mmap(NULL, p->conns_size, PROT_READ, MAP_SHARED,
			bpf_map__fd(skel->maps.conns), 0);
	if (p->conns == MAP_FAILED) {
		p->conns = NULL;
		return fail("cannot map the connections", errno);
	}
	return 0;
}

/* All buffers are in one ring. The program gives back each that it has used. */
static int provide_buffers(struct proxy *p)
{
	unsigned int entries = 1, i;
	struct io_uring_buf_reg reg = {};
	int ret;

	while (entries < p->nr_bufs)
		entries *= 2;
	p->br_size = entries * sizeof(struct io_uring_buf);
	p->br = mmap(NULL, p->br_size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE,
		     -1, 0);
	if (p->br == MAP_FAILED) {
		p->br = NULL;
		return fail("no memory for the buffers", errno);
	}
	reg.ring_addr = (unsigned long)p->br;
	reg.ring_entries = entries;
	ret = io_uring_register_buf_ring(&p->ring, &reg, 0);
	if (ret)
		return fail("cannot register the buffers", ret);
	io_uring_buf_ring_init(p->br);
	for (i = 0; i < p->nr_bufs; i++)
		io_uring_buf_ring_add(p->br, p->mem + (size_t)i * p->buf_size, p->buf_size,
				      i, io_uring_buf_ring_mask(entries), i);
	io_uring_buf_ring_advance(p->br, p->nr_bufs);
	return 0;
}

static int set_up_ring(struct proxy *p)
{
	struct io_uring_params params = {
		.flags = IOU_DEFER | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = p->nr_conns * CHILDREN + SQ_ENTRIES,
	};
	int ret;

	ret = io_uring_queue_init_params(SQ_ENTRIES, &p->ring, &params);
	if (ret)
		return fail("cannot create a ring", ret);
	p->ring_ok = true;
	ret = io_uring_register_files_sparse(&p->ring, p->nr_conns * 2);
	if (ret)
		return fail("cannot register the direct descriptors", ret);
	if (provide_buffers(p))
		return -1;
	p->link = bpf_program__attach_iouring(p->skel->progs.iou_proxy, p->ring.ring_fd, NULL);
	if (!p->link)
		return fail("cannot attach the program", errno);
	return 0;
}

static int set_up(struct proxy *p, char **argv)
{
	struct rlimit files;
	sigset_t set;

	/* the number of direct descriptors is limited by that of files */
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		/* fewer can be enough */
		if (setrlimit(RLIMIT_NOFILE, &files))
			fail("setrlimit", errno);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (p->signal_fd < 0)
		return fail("signalfd", errno);
	/* memory of buffers that were never used is never allocated */
	p->mem_size = (size_t)p->nr_bufs * p->buf_size;
	p->mem = mmap(NULL, p->mem_size, PROT_READ | PROT_WRITE,
		      MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
	if (p->mem == MAP_FAILED) {
		p->mem = NULL;
		return fail("no memory for the buffers", errno);
	}
	if (find_server(p, argv[1]) || open_listener(p, argv[0]) || load(p) || set_up_ring(p))
		return -1;
	printf("port %u\n", p->port);
	fflush(stdout);
	return 0;
}

static void clean_up(struct proxy *p)
{
	bpf_link__destroy(p->link);
	if (p->ring_ok)
		io_uring_queue_exit(&p->ring);
	if (p->conns)
		munmap(p->conns, p->conns_size);
	iou_proxy__destroy(p->skel);
	if (p->br)
		munmap(p->br, p->br_size);
	if (p->mem)
		munmap(p->mem, p->mem_size);
	if (p->listen_fd >= 0)
		close(p->listen_fd);
	if (p->signal_fd >= 0)
		close(p->signal_fd);
}

static void print_stats(const struct proxy *p)
{
	const struct proxy_stats *s = &p->skel->bss->stats;
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	printf("accepted %llu open %u open-max %u ended %llu ",
	       s->accepted, s->open, s->open_max, s->ended);
	printf("resets %llu idle %llu refused %llu accept-errors %llu\n",
	       s->resets, s->idle, s->refused, s->errors);
	printf("bytes-to-server %llu bytes-to-client %llu buffers %u buffers-max %u starved %llu\n",
	       s->bytes[CLIENT], s->bytes[SERVER], s->in_use, s->in_use_max, s->starved);
	printf("runs %llu enters %lu cqes %lu switches %ld user-us %lld system-us %lld\n",
	       s->runs, p->enters, p->cqes, ru.ru_nvcsw + ru.ru_nivcsw,
	       ru.ru_utime.tv_sec * 1000000LL + ru.ru_utime.tv_usec,
	       ru.ru_stime.tv_sec * 1000000LL + ru.ru_stime.tv_usec);
	fflush(stdout);
}

static void read_signal(struct proxy *p)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&p->ring);

	io_uring_prep_read(sqe, p->signal_fd, &p->signal, sizeof(p->signal), 0);
	sqe->user_data = SIGNAL;
}

static void submit(struct proxy *p)
{
	int ret = io_uring_submit(&p->ring);

	if (ret < 0)
		fail("io_uring_enter", ret);
}

/*
 * Let the exit reset the connections that are left, whose peers would take the end of the
 * stream for the end of the data. Errors of requests are of sockets that the program has
 * closed.
 */
static void reset_rest(struct proxy *p)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < p->nr_conns * 2; i++) {
		if (!(p->conns[i / 2].open & 1 << i % 2))
			continue;
		sqe = io_uring_get_sqe(&p->ring);
		if (!sqe) {
			submit(p);
			sqe = io_uring_get_sqe(&p->ring);
		}
		if (!sqe)
			return;
		io_uring_prep_rw(IORING_OP_URING_CMD, sqe, i, NULL, 0, 0);
		sqe->flags = IOSQE_FIXED_FILE;
		sqe->cmd_op = SOCKET_URING_OP_SETSOCKOPT;
		sqe->level = SOL_SOCKET;
		sqe->optname = SO_LINGER;
		sqe->optval = (unsigned long)&reset;
		sqe->optlen = sizeof(reset);
		sqe->user_data = LINGER;
	}
	submit(p);
}

/* Return true if the proxy has to end now. */
static bool handle_signal(struct proxy *p)
{
	if (p->signal.ssi_signo != SIGUSR1 && p->skel->bss->stopping) {
		reset_rest(p);
		return true;
	}
	if (p->signal.ssi_signo == SIGUSR1) {
		print_stats(p);
	} else {
		/* the program sees the accept fail, and the flow ends with the last child */
		p->skel->bss->stopping = true;
		shutdown(p->listen_fd, SHUT_RDWR);
	}
	read_signal(p);
	return false;
}

/* Wait for signals, and for the end of the flow. Return 0 or an error. */
static int run(struct proxy *p)
{
	struct io_uring_cqe *cqe;
	__u64 user_data;
	int ret;

	iou_queue_bpf(&p->ring, 0, FLOW);
	read_signal(p);
	for (;;) {
		p->enters++;
		ret = io_uring_submit_and_wait(&p->ring, 1);
		if (ret < 0 && ret != -EINTR)
			return fail("io_uring_enter", ret);
		while (!io_uring_peek_cqe(&p->ring, &cqe)) {
			p->cqes++;
			user_data = cqe->user_data;
			ret = cqe->res;
			io_uring_cqe_seen(&p->ring, cqe);
			if (user_data == FLOW && ret) {
				reset_rest(p);
				return fail("the flow has ended", ret);
			}
			if (user_data == FLOW)
				return 0;
			if (user_data == SIGNAL && ret != sizeof(p->signal))
				return fail("signalfd", ret);
			if (user_data == SIGNAL && handle_signal(p))
				return 0;
		}
	}
}

static void parse(struct proxy *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "connections", required_argument, NULL, 'c' },
		{ "buffers", required_argument, NULL, 'b' },
		{ "size", required_argument, NULL, 's' },
		{ "idle", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "c:b:s:i:h", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			p->nr_conns = number("connections", optarg, 1, MAX_CONNS);
			break;
		case 'b':
			p->nr_bufs = number("buffers", optarg, 1, MAX_BUFS);
			break;
		case 's':
			p->buf_size = number("size", optarg, 1, 1 << 30);
			break;
		case 'i':
			p->idle = number("idle", optarg, 0.001, 1e9) * NSEC_PER_SEC;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (argc - optind != 2) {
		fputs(usage, stderr);
		exit(2);
	}
	if (!p->nr_bufs)
		p->nr_bufs = p->nr_conns * 2;
}

int main(int argc, char **argv)
{
	struct proxy p = {
		.listen_fd	= -1,
		.signal_fd	= -1,
		.nr_conns	= 1000,
		.buf_size	= 16384,
		.idle		= 300 * NSEC_PER_SEC,
	};
	int ret;

	parse(&p, argc, argv);
	ret = set_up(&p, argv + optind);
	if (!ret)
		ret = run(&p);
	if (p.skel && p.ring_ok)
		print_stats(&p);
	clean_up(&p);
	return ret ? 1 : 0;
}
