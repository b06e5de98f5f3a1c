/* SPDX-License-Identifier: GPL-2.0 */
/* Processes that have to act within a time limit */
#ifndef IOU_PROCESS_H
#define IOU_PROCESS_H

#include "iou_bpf.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/*
 * time within which a process has to be dead, stopped, or done. An emulated machine takes up
 * to two seconds, and several times as long if the host has other work.
 */
#define LIMIT_MS	15000
/* exit codes of the process */
#define GONE_WRONG	99
#define GOT_CQE		98

/* Wait until @cond, at most @ms. Return whether @cond holds. */
#define until_ms(cond, ms) ({						\
	__u64 __end = iou_now_ms() + (ms);				\
	bool __ok;							\
									\
	while (!(__ok = (cond)) && iou_now_ms() < __end)		\
		usleep(1000);						\
	__ok;								\
})

#define until(cond)	until_ms(cond, LIMIT_MS)

/* Return true if @pid is in the state of @options within the limit. */
static inline bool wait_for(pid_t pid, int *status, int options)
{
	return until(waitpid(pid, status, WNOHANG | options) == pid);
}

/* Allocate memory that a process shares with its children. */
static inline void *shared_alloc(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Create a pipe. A write to the pipe kills this process. */
static inline bool pipe_that_kills(int *fds)
{
	return !pipe(fds) && !fcntl(fds[0], F_SETOWN, getpid()) &&
	       !fcntl(fds[0], F_SETSIG, SIGKILL) && !fcntl(fds[0], F_SETFL, O_ASYNC);
}

#endif
