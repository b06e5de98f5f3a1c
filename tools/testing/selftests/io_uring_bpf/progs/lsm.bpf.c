// SPDX-License-Identifier: GPL-2.0
/* Deny the operations that the test selects, for tasks of the test only */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

/* macros are not in BTF */
#define EPERM	1

__u32 tgid;
/* what to deny, 0 for nothing */
__u64 ino;
__u32 euid;
__u32 cmd_op;

/* An SQ thread and the workers of io-wq have the tgid of their submitter. */
static __always_inline bool lsm_is_ours(void)
{
	return bpf_get_current_pid_tgid() >> 32 == tgid;
}

SEC("lsm/file_open")
int BPF_PROG(lsm_file_open, struct file *file)
{
	if (lsm_is_ours() && ino && file->f_inode->i_ino == ino)
		return -EPERM;
	return 0;
}

SEC("lsm/uring_override_creds")
int BPF_PROG(lsm_override_creds, const struct cred *new)
{
	if (lsm_is_ours() && euid && new->euid.val == euid)
		return -EPERM;
	return 0;
}

SEC("lsm/uring_cmd")
int BPF_PROG(lsm_uring_cmd, struct io_uring_cmd *ioucmd)
{
	if (lsm_is_ours() && cmd_op && ioucmd->cmd_op == cmd_op)
		return -EPERM;
	return 0;
}
