// SPDX-License-Identifier: GPL-2.0
/* watches all requests of a ring and changes nothing */
#define SEC(name) __attribute__((section(name), used))

char LICENSE[] SEC("license") = "GPL";

SEC("iouring")
int watch(void *ctx)
{
	return 0; /* BPF_IO_URING_DEFAULT */
}
