/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_PATTERNS_TOOL_H
#define IOU_PATTERNS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define NAME_LEN	16
#define COUNT_MAP	"count_map"

enum {
	EXIT_FAILED	= 1,
	EXIT_USAGE	= 2,
	EXIT_NO_KERNEL	= 3,
	EXIT_NO_RIGHT	= 4,
};

struct options {
	const char *dir;	/* of object files */
	const char *pin_dir;
	bool json;
	bool pretty;
	bool verbose;
	bool all;
	bool replace;
	bool available;
	bool quick;
};

extern struct options opt;

/* Print a message to stderr. Return -1. */
int __attribute__((format(printf, 1, 2))) fail(const char *fmt, ...);

/* The exit status for a negative errno */
int status_of(int err);

/* object.c: the files */

/* Call @fn for each pattern in the folder, in order. Return the worst status. */
int for_each_object(int (*fn)(const char *name));

/* Return the documentation of a pattern, to be freed, or NULL. */
char *object_text(const char *name);

/* Call @fn for each line of @text that begins with @key, until @fn returns false. */
void for_each_line(const char *text, const char *key,
		   bool (*fn)(char *value, void *arg), void *arg);

/* Copy the value of the first line with @key. Return false if there is none. */
bool text_value(const char *text, const char *key, char *value, size_t size);

struct bpf_object;

/* Load a pattern. Return 0, or a negative errno after a message. */
int object_load(const char *name, struct bpf_object **obj);

/* pin.c: the folder with the pins */

/* Return 0, or a negative errno after a message if the folder must not be used. */
int pin_check_dir(void);

/* Pin the program, and its map. Return 0, or a negative errno after a message. */
int pin_create(const char *name, struct bpf_object *obj);

/* Remove a pin. Return 0, or a negative errno after a message. */
int pin_remove(const char *name);

/* Open a pin, and describe the program. Return its fd, or a negative errno. */
int pin_open(const char *name, struct bpf_prog_info *info);

/* Call @fn for each pinned pattern, in order. Return the worst status. */
int for_each_pin(int (*fn)(const char *name));

/* show.c */

int do_list(void);
int do_show(int argc, char **argv);
int do_counts(void);

#endif
