// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("receive one message that begins with its length, and not a byte more")
ARG("fd", "word 0, bits 0-31", "file descriptor of the socket")
ARG("index", "word 0, bits 32-47", "index of a registered buffer that contains buf")
ARG("width", "word 0, bits 48-55", "size of the length in bytes: 1, 2, 4 or 8")
ARG("order", "word 0, bits 56-63", "of the bytes: 0 big-endian, 1 little-endian")
ARG("buf", "word 1", "address for the length and the message behind it")
ARG("offset", "word 2", "offset of buf in the registered buffer, in bytes")
ARG("max", "word 3", "bytes at buf, width to 2147483647")
RESULT("bytes received, width and the length of the message, or 0 if the stream has ended "
	"before the message")
ERROR("EINVAL", "an argument is out of range")
ERROR("ENOENT", "there is no such registered buffer")
ERROR("EFAULT", "the length exceeds the registered buffer, or wrong addresses")
ERROR("EMSGSIZE", "the message has more than max bytes; only the length was received")
ERROR("ENODATA", "the stream has ended within the message")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of a receive")
WINS("length and message arrive apart, or in many segments: one CQE per message")
LOSES("many small messages arrive together: receive more at once, and look for them"));

struct recv_msg {
	__u32 fd;
	__u16 index;
	__u8 width;
	__u8 order;
	__u64 buf;
	__u64 offset;
	__u32 max;
	__u32 got;
};

/* Receive up to @total bytes in all, which is also the user_data of the child. */
static __always_inline int recv_rest(struct bpf_io_uring_ctx *ctx, __u32 total)
{
	struct recv_msg *s = iou_state(ctx, struct recv_msg);
	struct io_uring_sqe sqe;

	io_uring_prep_recv(&sqe, s->fd, s->buf + s->got, total - s->got, MSG_WAITALL);
	io_uring_sqe_set_data64(&sqe, total);
	return iou_issue(ctx, &sqe);
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FOREIGN_ORDER	0
#else
#define FOREIGN_ORDER	1
#endif

#define READ_LENGTH(type, swap) ({					\
	type __val = 0;							\
									\
	err = bpf_io_uring_buf_read(ctx, s->index, s->offset, &__val,	\
				    sizeof(__val));			\
	s->order == FOREIGN_ORDER ? swap(__val) : __val;		\
})

/* Return the size of the message with its length, or an error. */
static __always_inline __s64 message_size(struct bpf_io_uring_ctx *ctx)
{
	struct recv_msg *s = iou_state(ctx, struct recv_msg);
	__u64 len;
	int err;

	switch (s->width) {
	case 1:
		len = READ_LENGTH(__u8, (__u8));
		break;
	case 2:
		len = READ_LENGTH(__u16, __builtin_bswap16);
		break;
	case 4:
		len = READ_LENGTH(__u32, __builtin_bswap32);
		break;
	default:
		len = READ_LENGTH(__u64, __builtin_bswap64);
	}
	if (err)
		return err;
	return len > s->max - s->width ? -EMSGSIZE : s->width + len;
}

static __always_inline int recv_msg_step(struct bpf_io_uring_ctx *ctx)
{
	struct recv_msg *s = iou_state(ctx, struct recv_msg);
	bool length = s->got < s->width;
	__s64 total = ctx->user_data;

	if (ctx->res < 0)
		return ctx->res;
	if (!ctx->res && s->got)
		return -ENODATA;
	s->got += ctx->res;
	if (length && s->got == s->width)
		total = message_size(ctx);
	if (total < 0)
		return total;
	if (s->got && s->got < total)
		return recv_rest(ctx, total);
	bpf_io_uring_complete(ctx, s->got);
	return 0;
}

static __always_inline bool recv_msg_valid(const struct recv_msg *s, __u64 word3)
{
	return (s->width == 1 || s->width == 2 || s->width == 4 || s->width == 8) &&
	       s->order <= 1 && word3 >= s->width && word3 <= 0x7fffffff;
}

SEC("iouring")
int recv_msg(struct bpf_io_uring_ctx *ctx)
{
	struct recv_msg *s = iou_state(ctx, struct recv_msg);

	if (pattern_starts(ctx)) {
		if (ctx->res < 0)
			return iou_end(ctx, -ECANCELED);
		if (!recv_msg_valid(s, ctx->state[3]))
			return iou_end(ctx, -EINVAL);
		return iou_end_on_error(ctx, recv_rest(ctx, s->width));
	}
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	return iou_end_on_error(ctx, recv_msg_step(ctx));
}
