// SPDX-License-Identifier: GPL-2.0
/* Records, and how they are found again */
#include "iou_bpf.h"
#include "format.h"

#include <endian.h>
#include <zlib.h>

/* a record, with the unaligned blocks at its ends, and enough to read few times */
#define READ_SIZE	(1U << 20)

uint32_t log_seal(struct log_record *rec, const void *data, uint32_t before)
{
	const size_t skip = offsetof(struct log_record, len);
	uint32_t sum;

	sum = crc32(before, (void *)&rec->len, sizeof(*rec) - skip);
	sum = crc32(sum, data, le32toh(rec->len));
	rec->sum = htole32(sum);
	return sum;
}

int log_reader_init(struct log_reader *r, int fd)
{
	memset(r, 0, sizeof(*r));
	r->fd = fd;
	/* aligned, for O_DIRECT */
	r->buf = aligned_alloc(LOG_BLOCK, READ_SIZE);
	return r->buf ? 0 : -ENOMEM;
}

void log_reader_free(struct log_reader *r)
{
	free(r->buf);
	r->buf = NULL;
}

/* Read the file from the block of @off on, until the buffer is full or the file ends. */
static int reader_fill(struct log_reader *r, uint64_t off)
{
	ssize_t n;

	r->start = off - off % LOG_BLOCK;
	r->len = 0;
	while (r->len < READ_SIZE) {
		n = pread(r->fd, r->buf + r->len, READ_SIZE - r->len, r->start + r->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r->len += n;
		/* O_DIRECT continues in whole blocks only, and there is no more */
		if (!n || r->len % LOG_BLOCK)
			break;
	}
	return 0;
}

/* Set @p to @len bytes at @off. Return 1, 0 if the file is shorter, or a negative error. */
static int reader_peek(struct log_reader *r, uint64_t off, size_t len, const char **p)
{
	int ret;

	if (off < r->start || off + len > r->start + r->len) {
		ret = reader_fill(r, off);
		if (ret)
			return ret;
		if (off + len > r->start + r->len)
			return 0;
	}
	*p = r->buf + (off - r->start);
	return 1;
}

/* Read the record at @off, if there is one that continues the log. */
static int reader_record(struct log_reader *r, uint64_t off, struct log_record *rec,
			 const char **data)
{
	struct log_record copy;
	const char *p;
	uint32_t len;
	int ret;

	ret = reader_peek(r, off, sizeof(*rec), &p);
	if (ret <= 0)
		return ret;
	memcpy(rec, p, sizeof(*rec));
	len = le32toh(rec->len);
	if (le64toh(rec->seq) != r->pos.seq + 1 || len > LOG_MAX_DATA)
		return 0;
	ret = reader_peek(r, off, sizeof(*rec) + len, &p);
	if (ret <= 0)
		return ret;
	*data = p + sizeof(*rec);
	copy = *rec;
	if (log_seal(&copy, *data, r->pos.sum) != le32toh(rec->sum))
		return 0;
	r->pos.seq++;
	r->pos.off = off + sizeof(*rec) + len;
	r->pos.sum = le32toh(rec->sum);
	return 1;
}

int log_read_next(struct log_reader *r, struct log_record *rec, const char **data)
{
	uint64_t off = r->pos.off;
	uint64_t block = (off + LOG_BLOCK - 1) / LOG_BLOCK * LOG_BLOCK;
	int ret;

	ret = reader_record(r, off, rec, data);
	/* the next group */
	if (!ret && block != off)
		ret = reader_record(r, block, rec, data);
	return ret;
}
