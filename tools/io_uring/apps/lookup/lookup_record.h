/* SPDX-License-Identifier: GPL-2.0 */
/* The columns of a record of SQLite */
#ifndef IOU_LOOKUP_RECORD_H
#define IOU_LOOKUP_RECORD_H

#include <stddef.h>
#include <stdint.h>

enum lookup_type { LOOKUP_NULL, LOOKUP_INTEGER, LOOKUP_REAL, LOOKUP_TEXT, LOOKUP_BLOB };

struct lookup_column {
	enum lookup_type	type;
	int64_t			integer;
	double			real;
	/* of a text or a blob, in the record */
	const void		*data;
	size_t			size;
};

/*
 * Decode column @i of a record. Return 0, -ENOENT if the record has less columns, or
 * -EUCLEAN. A column that is an alias of the rowid is NULL in the record.
 */
int lookup_column(const void *record, size_t size, unsigned int i,
		  struct lookup_column *column);
/* Decode an integer of 1 to 9 bytes. Return its length, or 0 if it is longer than @size. */
size_t lookup_varint(const void *data, size_t size, uint64_t *value);

#endif
