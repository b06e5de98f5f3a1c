/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests with damaged files share. They define MAX_VALUE and MAX_READS, and
 * bad_lookup_in() and bad_expect(), since keys and values differ.
 */
#ifndef LOOKUP_BAD_H
#define LOOKUP_BAD_H

#include "lookup_test.h"

static inline int bad_open_way(const char *path, const char *name, enum lookup_way way,
			       struct lookup **lookup)
{
	struct lookup_config config = {
		.path = path,
		.name = name,
		.max_value = MAX_VALUE,
		.ring_flags = IOU_DEFER,
		.prog_fd = prog_fd,
		.way = way,
		/* it is open for the lookup by the program */
		.force = way != LOOKUP_FLOW,
	};

	return lookup_open(&config, lookup);
}

static inline int bad_open(const char *path, const char *name, struct lookup **lookup)
{
	return bad_open_way(path, name, LOOKUP_FLOW, lookup);
}

/* Wait for a lookup. Whatever the file is like, the result is sound. */
#define bad_wait(lookup, r) do {						\
	ASSERT_EQ(0, lookup_wait(lookup, r));					\
	ASSERT_GE(MAX_READS, (r)->reads);					\
	if ((r)->res >= 0)							\
		ASSERT_EQ((r)->size, (r)->res);					\
} while (0)

#define bad_lookup(n, r) bad_lookup_in(self->lookup, n, r)

#define bad_write(val, off) do {						\
	typeof(val) __val = (val);						\
										\
	ASSERT_EQ(sizeof(__val), pwrite(self->fd, &__val, sizeof(__val), off));	\
} while (0)

/* Write to the file, expect a result of a lookup, and restore what was there. */
#define bad_change(n, val, off, expected) do {					\
	typeof(val) __old;							\
										\
	ASSERT_EQ(sizeof(__old), pread(self->fd, &__old, sizeof(__old), off));	\
	bad_write(val, off);							\
	bad_expect(n, expected);						\
	bad_write(__old, off);							\
} while (0)

/*
 * Change a byte, and restore it. The result of a lookup is the same that @plain gets, as
 * each check is made by both. Add to @changed the number of results other than @sound.
 */
#define bad_change_byte(n, plain, off, sound, changed) do {			\
	struct lookup_result __r, __plain;					\
	__u8 __old, __bad;							\
										\
	ASSERT_EQ(1, pread(self->fd, &__old, 1, off));				\
	for (int __j = 0; __j < 4; __j++) {					\
		__bad = __j == 0 ? 0 : __j == 1 ? 0xff :			\
			__j == 2 ? __old ^ 1 : __old ^ 0x80;			\
		ASSERT_EQ(1, pwrite(self->fd, &__bad, 1, off));			\
		bad_lookup(n, &__r);						\
		bad_lookup_in(plain, n, &__plain);				\
		ASSERT_EQ(__plain.res, __r.res);				\
		ASSERT_EQ(__plain.reads, __r.reads);				\
		ASSERT_EQ(0, __r.res > 0 ?					\
			     memcmp(__r.value, __plain.value, __r.res) : 0);	\
		(changed) += __r.res != (sound);				\
	}									\
	ASSERT_EQ(1, pwrite(self->fd, &__old, 1, off));				\
} while (0)

#endif
