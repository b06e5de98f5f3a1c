/* SPDX-License-Identifier: GPL-2.0 */
/* For tests that send over the loopback device */
#ifndef IOU_LOOPBACK_H
#define IOU_LOOPBACK_H

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

/* Bring the device up, using any socket. Return 0 or an error. */
static inline int loopback_up(int fd)
{
	struct ifreq ifr = { .ifr_name = "lo" };

	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) ? -errno : 0;
}

#endif
