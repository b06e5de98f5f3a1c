// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded to a test program, which spends most of its time on loading its BPF
 * programs. They are loaded once, and a child is forked for each line of stdin. A line
 * has the output file of the child and words that replace its first arguments. Prints
 * the pid of each child, and its exit status.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char line[4096];

static void become(int argc, char **argv)
{
	char *word = strtok(line, " \n");
	int fd = open(word, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	setsid();
	dup2(fd, 1);
	dup2(fd, 2);
	dup2(open("/dev/null", O_RDONLY), 0);
	for (int i = 1; (word = strtok(NULL, " \n")); i++) {
		if (i >= argc)
			_exit(2);
		argv[i] = word;
	}
}

/* Called before the harness does anything else. Returns in the child. */
static void serve(int argc, char **argv)
{
	int status;
	pid_t pid;

	while (fgets(line, sizeof(line), stdin)) {
		pid = fork();
		if (!pid) {
			become(argc, argv);
			return;
		}
		printf("%d\n", pid);
		fflush(stdout);
		waitpid(pid, &status, 0);
		printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) :
						   128 + WTERMSIG(status));
		fflush(stdout);
	}
	_exit(0);
}

int getopt(int argc, char *const argv[], const char *options)
{
	static int (*next)(int, char *const *, const char *);

	if (!next) {
		next = dlsym(RTLD_NEXT, "getopt");
		unsetenv("LD_PRELOAD");
		serve(argc, (char **)argv);
	}
	return next(argc, argv, options);
}
