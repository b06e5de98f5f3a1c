// SPDX-License-Identifier: GPL-2.0
/*
 * The controller: runs one worker at a time, and checks the system afterwards
 *
 * A worker must exit in time. Its rings must be freed: each file table contains the
 * end of a pipe, which then is closed. The memory of requests must not grow, the
 * flow of an independent process must make progress, and the kernel log must not
 * contain warnings.
 */
#include "env.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fuzz.skel.h"

/* limits in milliseconds: run time of a case, exit after SIGKILL, end of its rings */
#define CASE_MS		fz_ms(40000)
#define DIE_MS		fz_ms(15000)
#define GONE_MS		fz_ms(30000)
/* milliseconds without progress of the neighbour */
#define RATE_MS		fz_ms(20000)
#define NR_LIFELINES	12

struct fuzz *skel;
struct fz_shm *shm;
bool fz_fatal;

static const char *const wrong_names[] = {
	[FZ_TWO_RUNS] = "two programs run on a ring at the same time",
	[FZ_STATE_TAG] = "state[0] has changed",
	[FZ_STATE_CHANGED] = "state[1] to state[3] have changed",
	[FZ_START_TWICE] = "a flow starts twice",
	[FZ_NO_START] = "an event before the start of a flow",
	[FZ_AFTER_END] = "an event after the end of a flow",
	[FZ_ACTS_AFTER_END] = "a call has an effect after the end of its flow",
	[FZ_CHILDREN] = "nr_children is wrong",
	[FZ_FOREIGN_TASK] = "a program runs in the wrong task",
	[FZ_FLOW_USER_DATA] = "flow_user_data is wrong",
	[FZ_USER_DATA] = "user_data belongs to no request",
	[FZ_INNOCENT_FLOW] = "a flow is cancelled without a cause",
	[FZ_INNOCENT_CHILD] = "a child is cancelled without a cause",
	[FZ_WATCH_CONTEXT] = "wrong context of a watching program, or index in a chain",
	[FZ_WATCH_FILTER] = "a watching program sees a request that its filter excludes",
	[FZ_WATCH_PROG] = "a watching program sees a request that a program issued",
	[FZ_WATCH_OLD] = "a watching program runs that was detached or replaced",
	[FZ_WATCH_ORDER] = "a watching program in a lower slot was left out",
	[FZ_WATCH_NEXT] = "a watching program passed a completion on, and another one runs",
	[FZ_WATCH_LEFT] = "a completion is not as the previous watching program left it",
	[FZ_MEM_SIZE] = "a program is given memory that its flow does not have, or is not",
	[FZ_MEM_WRONG] = "the memory of a flow has wrong contents",
	[FZ_COPY_RESULT] = "the result of a copy between buffers is wrong",
	[FZ_COPY_WRONG] = "a copy between buffers has not copied, or too much",
	[FZ_REQ_RESULT] = "bpf_io_uring_req() returns the wrong result, or fails with data",
	[FZ_REQ_ARGS] = "bpf_io_uring_req() returns wrong arguments",
	[FZ_ERROR] = "the error of a call is not documented, action",
	[FZ_LIMIT] = "a run issues too many requests, or too few",
	[FZ_BUF_WRONG] = "a registered buffer has wrong contents",
};

static int kmsg = -1;
static struct {
	int fd;
	__u64 end;
	char name[FZ_NAME];
} lifelines[NR_LIFELINES];
static __u64 last_hops, last_hops_ms;

/* Main function of an independent process, whose flows must always make progress. */
static void neighbour(void)
{
	struct io_uring_params p = { };
	struct io_uring_sqe *sqes;
	char *mem;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = syscall(__NR_io_uring_setup, 4, &p);
	mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   IORING_OFF_SQ_RING);
	sqes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQES);
	if (fd < 0 || mem == MAP_FAILED || sqes == MAP_FAILED ||
	    !bpf_program__attach_iouring(skel->progs.neighbour, fd, NULL))
		_exit(1);
	*(__u32 *)(mem + p.sq_off.array) = 0;
	for (;;) {
		memset(sqes, 0, sizeof(*sqes));
		sqes->opcode = IORING_OP_BPF;
		sqes->fd = -1;
		/* more than the kernel issues at once, see IO_BPF_SLICE */
		sqes->off = 1100;
		sqes->user_data = fz_ud(0);
		__atomic_fetch_add((__u32 *)(mem + p.sq_off.tail), 1, __ATOMIC_RELEASE);
		syscall(__NR_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
		store(mem + p.cq_off.head, load(mem + p.cq_off.tail));
		usleep(300000);
	}
}

static void check_rate(struct fz_report *out)
{
	__u64 hops = __atomic_load_n(&skel->data_neighbour->nr_hops, __ATOMIC_RELAXED);

	if (hops != last_hops) {
		last_hops = hops;
		last_hops_ms = now_ms();
	} else if (now_ms() - last_hops_ms > RATE_MS && !out->kind[0]) {
		fz_kind(out, "neighbour");
		snprintf(out->text, sizeof(out->text),
			 "the flow of another process made no progress for %d s",
			 RATE_MS / 1000);
		last_hops_ms = now_ms();
	}
}

/*
 * Return true if the kernel has logged a warning. Later results are unreliable, so
 * the caller must stop.
 */
static bool check_kmsg(struct fz_report *out)
{
	static const char *const bad[] = {
		"BUG:", "WARNING:", "KASAN:", "Oops:", "UBSAN:",
		"general protection fault", "possible recursive locking",
		"possible circular locking", "inconsistent lock state",
		"suspicious RCU usage", "sleeping function called",
		"scheduling while atomic", "blocked for more than", "soft lockup",
		"detected stall", "self-detected stall", "refcount_t:",
		"list_add corruption", "list_del corruption", "Workqueue lockup",
		"lock held when returning", "still has locks held", "held lock freed",
	};
	bool found = false;
	char line[2048];
	unsigned int i;
	ssize_t n;

	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		char *text;

		if (n <= 0)
			continue;
		line[n] = 0;
		text = strchr(line, ';');
		if (!text)
			continue;
		text[1 + strcspn(text + 1, "\n")] = 0;
		for (i = 0; i < ARRAY_SIZE(bad) && !found; i++) {
			if (!strstr(text, bad[i]))
				continue;
			found = true;
			fz_kind(out, "splat");
			snprintf(out->text, sizeof(out->text), "%.180s", text + 1);
		}
	}
	return found;
}

/* Print the kernel stacks of all threads of a process that hangs. */
static void show_stacks(pid_t pid)
{
	char cmd[160];

	snprintf(cmd, sizeof(cmd),
		 "cd /proc/%d/task && for t in *; do echo \"# task $t: $(cat $t/comm)\"; head -n 12 $t/stack; done 2>/dev/null",
		 pid);
	fflush(stdout);
	if (system(cmd))
		printf("# cannot print stacks\n");
}

/* Wait up to @ms for the exit of a child process. Return true if it has exited. */
static bool dead_within(pid_t pid, int *status, unsigned int ms)
{
	__u64 end = now_ms() + ms;

	do {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(500);
	} while (now_ms() < end);
	return false;
}

/* Kill the worker. Return false if it survives SIGKILL. */
static bool kill_worker(pid_t pid, int *status, struct fz_report *out)
{
	kill(pid, SIGKILL);
	if (dead_within(pid, status, DIE_MS))
		return true;
	fz_kind(out, "unkillable");
	snprintf(out->text, sizeof(out->text), "alive %d s after SIGKILL", DIE_MS / 1000);
	show_stacks(pid);
	return false;
}

/*
 * Check which rings of previous cases are gone. Report those that exceed their
 * limit. With @all, wait for all rings.
 */
static void check_lifelines(struct fz_report *out, bool all)
{
	unsigned int i;

	for (i = 0; i < NR_LIFELINES; i++) {
		struct pollfd p = { .fd = lifelines[i].fd, .events = POLLIN };
		int left = lifelines[i].end - now_ms();

		if (!lifelines[i].end)
			continue;
		if (poll(&p, 1, all && left > 0 ? left : 0) == 1) {
			close(lifelines[i].fd);
			lifelines[i].end = 0;
		} else if ((int)(lifelines[i].end - now_ms()) <= 0) {
			fz_kind(out, "ring");
			snprintf(out->text, sizeof(out->text),
				 "a ring exists %d s after its last process, case %s",
				 GONE_MS / 1000, lifelines[i].name);
			close(lifelines[i].fd);
			lifelines[i].end = 0;
		}
	}
}

/* Monitor the rings of case @name. Wait if there are too many rings already. */
static void add_lifeline(int fd, const char *name, struct fz_report *out)
{
	unsigned int i;

	for (;;) {
		for (i = 0; i < NR_LIFELINES; i++) {
			if (lifelines[i].end)
				continue;
			lifelines[i].fd = fd;
			lifelines[i].end = now_ms() + GONE_MS;
			snprintf(lifelines[i].name, FZ_NAME, "%s", name);
			return;
		}
		usleep(1000);
		check_lifelines(out, false);
	}
}

/* Report the violation that programs have detected, if any. */
static void check_wrong(struct fz_report *out)
{
	struct fz_wrong_what *w = &skel->bss->wrong;

	if (!w->what || out->kind[0])
		return;
	fz_kind(out, "program");
	snprintf(out->text, sizeof(out->text),
		 "%s: %lld, %lld (ring %u, event %u of opcode %u, flags %#x, res %d)",
		 w->what < FZ_NR_WRONG ? wrong_names[w->what] : "?",
		 (long long)w->a, (long long)w->b, w->ring, w->event,
		 w->opcode, w->flags, w->res);
}

static void end_helpers(void)
{
	unsigned int i;

	for (i = 0; i < shm->nr_helpers && i < 8; i++) {
		if (shm->helpers[i] > 0)
			kill(shm->helpers[i], SIGKILL);
	}
}

/*
 * Wait for the exit of the worker, and kill it at the end of its time. Return false
 * if it survives SIGKILL.
 */
static bool watch_worker(const struct fz_case *c, pid_t pid, struct fz_report *out)
{
	__u64 end = now_ms() + CASE_MS;
	unsigned long long runs;
	int status;

	if (c->end == END_KILL) {
		while (!shm->progress && now_ms() < end &&
		       !dead_within(pid, &status, 1))
			;
		dead_within(pid, &status, c->kill_ms);
		return kill_worker(pid, &status, out);
	}
	while (now_ms() < end) {
		if (dead_within(pid, &status, 200))
			goto dead;
	}
	runs = fz_runs();
	usleep(1000000);
	runs = fz_runs() - runs;
	fz_kind(out, runs > 100 ? "busy" : "hang");
	snprintf(out->text, sizeof(out->text),
		 "not finished after %d s, activity: %s, %llu runs of programs in 1 s",
		 CASE_MS / 1000, shm->doing, runs);
	show_stacks(pid);
	return kill_worker(pid, &status, out);
dead:
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		fz_kind(out, "crash");
		snprintf(out->text, sizeof(out->text), "signal %d", WTERMSIG(status));
	}
	return true;
}

static pid_t start_worker(const struct fz_case *c, int *lifeline)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return -1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		close(p[0]);
		fz_worker(c, p[1]);
	}
	setpgid(pid, pid);
	close(p[1]);
	*lifeline = p[0];
	return pid;
}

/* Run a case. Store its first failure to @out. */
enum fz_result fz_round(const struct fz_case *c, struct fz_report *out)
{
	int lifeline;
	bool dead;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	memset(shm, 0, sizeof(*shm));
	shm->doing = "setup";
	pid = start_worker(c, &lifeline);
	if (pid < 0) {
		fz_kind(out, "setup");
		return FZ_FAILED;
	}
	dead = watch_worker(c, pid, out);
	/* other processes of the case keep its rings alive: end them */
	shm->progress = 1000000;
	end_helpers();
	kill(-pid, SIGKILL);
	if (!dead) {
		/* the reason, if the kernel knows */
		check_kmsg(out);
		fz_fatal = true;
		return FZ_FATAL;
	}
	if (!out->kind[0] && shm->failed)
		*out = shm->report;
	check_wrong(out);
	add_lifeline(lifeline, c->name, out);
	check_lifelines(out, false);
	check_rate(out);
	if (check_kmsg(out)) {
		fz_fatal = true;
		return FZ_FATAL;
	}
	return out->kind[0] ? FZ_FAILED : FZ_GOOD;
}

/* Return the number of open files of all processes. */
static long nr_files(void)
{
	return iou_scan("/proc/sys/fs/file-nr", "%ld");
}

/* Return the number of BPF links of all processes. */
static long nr_links(void)
{
	__u32 id = 0;
	long n = 0;

	while (!bpf_link_get_next_id(id, &id))
		n++;
	return n;
}

/* Resources that must return to their initial number after the end of all rings */
static struct balance {
	const char *name;
	long (*count)(void);
	/* deviation that other processes or an allocator may cause */
	long slack;
	long base;
} balances[] = {
	{ "io_kiocbs", iou_nr_requests, 600 },
	{ "open files", nr_files, 3 },
	{ "BPF links", nr_links, 0 },
};

/* Compare a resource with its base. Wait a while, as files are released late. */
static void check_balance(struct balance *b, struct fz_report *out)
{
	__u64 end = now_ms() + 3000;
	long n;

	while ((n = b->count()) > b->base + b->slack && now_ms() < end)
		usleep(50000);
	if (n < b->base)
		b->base = n;
	if (n <= b->base + b->slack || out->kind[0])
		return;
	fz_kind(out, "memory");
	snprintf(out->text, sizeof(out->text),
		 "%ld %s remain after the end of all rings, initially %ld",
		 n, b->name, b->base);
	/* report each loss once */
	b->base = n;
}

/* Wait until all rings are gone, and check that their memory is freed. */
enum fz_result fz_drain(struct fz_report *out)
{
	unsigned int i;

	memset(out, 0, sizeof(*out));
	check_lifelines(out, true);
	for (i = 0; i < ARRAY_SIZE(balances); i++)
		check_balance(&balances[i], out);
	if (check_kmsg(out)) {
		fz_fatal = true;
		return FZ_FATAL;
	}
	return out->kind[0] ? FZ_FAILED : FZ_GOOD;
}

/* Run a case until it fails, at most opt.tries times. Return true if it fails. */
bool fz_try(const struct fz_case *c, struct fz_report *out)
{
	struct fz_report late;
	unsigned int i;

	for (i = 0; i < opt.tries; i++) {
		if (fz_round(c, out) != FZ_GOOD)
			return true;
	}
	if (fz_drain(&late) == FZ_GOOD)
		return false;
	*out = late;
	return true;
}

/* Enable the loopback device, which may be down in a guest after boot. */
static void loopback_up(void)
{
	if (system("(ip link set lo up || ifconfig lo up || busybox ip link set lo up) 2>/dev/null"))
		printf("# the loopback device is down, running without TCP\n");
}

int fz_ctl_init(void)
{
	struct rlimit rl = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned int i;

	setrlimit(RLIMIT_MEMLOCK, &rl);
	loopback_up();
	shm = mmap(NULL, sizeof(*shm), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	skel = fuzz__open_and_load();
	if (shm == MAP_FAILED || !skel)
		return -errno ?: -EINVAL;
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	lseek(kmsg, 0, SEEK_END);
	last_hops_ms = now_ms();
	if (!fork())
		neighbour();
	/* wait until the neighbour has allocated its resources */
	for (i = 0; i < 200 && !skel->data_neighbour->nr_hops; i++)
		usleep(50000);
	for (i = 0; i < ARRAY_SIZE(balances); i++)
		balances[i].base = balances[i].count();
	return 0;
}
