// SPDX-License-Identifier: GPL-2.0
/* A record of SQLite: the types of its columns, then their contents */
#include <errno.h>
#include <string.h>

#include "lookup_record.h"

size_t lookup_varint(const void *data, size_t size, uint64_t *value)
{
	const unsigned char *p = data;
	uint64_t v = 0;

	for (size_t i = 0; i < size && i < 8; i++) {
		v = v << 7 | (p[i] & 0x7f);
		if (!(p[i] & 0x80)) {
			*value = v;
			return i + 1;
		}
	}
	if (size < 9)
		return 0;
	*value = v << 8 | p[8];
	return 9;
}

/* Return the length of the contents of a type. */
static uint64_t type_size(uint64_t type)
{
	static const unsigned char sizes[] = { 0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0 };

	return type < sizeof(sizes) ? sizes[type] : (type - 12) / 2;
}

static int64_t get_integer(const unsigned char *p, size_t size)
{
	/* the sign is that of the first byte */
	uint64_t v = size && (p[0] & 0x80) ? ~0ULL : 0;

	for (size_t i = 0; i < size; i++)
		v = v << 8 | p[i];
	return v;
}

static int decode(uint64_t type, const unsigned char *p, size_t size,
		  struct lookup_column *column)
{
	*column = (struct lookup_column){ .type = LOOKUP_NULL };
	if (type == 10 || type == 11)
		return -EUCLEAN;
	if (type >= 12) {
		column->type = type % 2 ? LOOKUP_TEXT : LOOKUP_BLOB;
		column->data = p;
		column->size = size;
	} else if (type == 7) {
		column->type = LOOKUP_REAL;
		column->integer = get_integer(p, size);
		memcpy(&column->real, &column->integer, sizeof(column->real));
	} else if (type) {
		column->type = LOOKUP_INTEGER;
		/* 0 and 1 have types of their own */
		column->integer = type >= 8 ? type - 8 : get_integer(p, size);
	}
	return 0;
}

int lookup_column(const void *record, size_t size, unsigned int i,
		  struct lookup_column *column)
{
	const unsigned char *p = record;
	uint64_t header, type, skip = 0;
	size_t at, len;

	at = lookup_varint(p, size, &header);
	if (!at || header > size || header < at)
		return -EUCLEAN;
	for (;; i--) {
		if (at == header)
			return -ENOENT;
		len = lookup_varint(p + at, header - at, &type);
		if (!len || type_size(type) > size - header - skip)
			return -EUCLEAN;
		at += len;
		if (!i)
			break;
		skip += type_size(type);
	}
	return decode(type, p + header + skip, type_size(type), column);
}
