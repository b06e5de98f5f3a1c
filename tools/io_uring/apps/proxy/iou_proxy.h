/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the proxy and its program. Requires the types. */
#ifndef IOU_PROXY_H
#define IOU_PROXY_H

/*
 * Connection i has two sockets, the direct descriptors 2 * i and 2 * i + 1. A side is the
 * number of the socket, and the number of the direction that begins there.
 */
enum { CLIENT, SERVER };

enum proxy_state {
	CONN_FREE,
	CONN_ACCEPTING,		/* no client yet, but an accept in flight */
	CONN_CONNECTING,	/* to the server */
	CONN_OPEN,
	CONN_CANCELLING,	/* waits for the children that it has cancelled */
	CONN_DRAINING,		/* waits until a peer has acknowledged all data */
	CONN_CLOSING,		/* waits for the closes */
};

enum proxy_dir_state {
	DIR_IDLE,
	DIR_BUSY,		/* a receive or send is in flight */
	DIR_STARVED,		/* waits for a buffer */
	DIR_ENDED,		/* by an end of the stream, or an error */
};

struct proxy_dir {
	__u32	buf;		/* id of the buffer that is being sent */
	__u32	len;
	__u32	sent;
	__u8	state;
	__u8	more;		/* the last receive has left data in the socket */
	__u8	queued;		/* there is an entry in the queue of waiting directions */
};

struct proxy_conn {
	struct proxy_dir dir[2];
	__u64	active;		/* time of the last progress, ns */
	__u64	pause;		/* between two looks at outq, ns */
	__u32	in_flight;	/* bits of children, see enum child */
	__u32	next_free;	/* index + 1 */
	__u32	outq;		/* bytes that the peer has not acknowledged */
	__u8	state;
	__u8	open;		/* bits of sides with a socket */
	__u8	dead;		/* bits of sides whose connection was reset or lost */
	__u8	reset;		/* close by a reset */
	__u8	drain;		/* bit of the side to wait for before the reset */
};

struct proxy_stats {
	__u64	accepted;
	__u64	ended;		/* connections, for whatever reason */
	__u64	resets;		/* connections of ended that ended by a reset */
	__u64	idle;		/* connections of resets that were idle */
	__u64	refused;	/* connections of resets to which no server belongs */
	__u64	errors;		/* accepts that failed */
	__u64	bytes[2];	/* sent to the other side, by the side they come from */
	__u64	runs;		/* of the program */
	__u64	starved;	/* receives that had to wait for a buffer */
	__u32	open;		/* connections now */
	__u32	open_max;
	__u32	in_use;		/* buffers now */
	__u32	in_use_max;
};

#endif
