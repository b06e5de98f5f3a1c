# SPDX-License-Identifier: GPL-2.0
"""Which functions of the kernel the benchmark counts the calls of."""

# column: functions that together stand for the event. One that the compiler
# has renamed (name.isra.0) counts as well.
COUNTERS = {
    'enters': ('__x64_sys_io_uring_enter',),
    'syscalls': ('do_syscall_64',),
    'iowq': ('io_queue_iowq',),
    'taskwork': ('__io_run_local_work', 'tctx_task_work_run'),
    'switches': ('__switch_to',),
    'allocs': ('kmem_cache_alloc_noprof', 'kmem_cache_alloc_node_noprof',
               'kmem_cache_alloc_lru_noprof', 'kmem_cache_alloc_bulk_noprof',
               '__kmalloc_noprof', '__kmalloc_node_noprof',
               '__kmalloc_cache_noprof', '__kmalloc_cache_node_noprof',
               '__kmalloc_node_track_caller_noprof'),
}

NAMES = frozenset(name for names in COUNTERS.values() for name in names)


def plain(name):
    """A function's name without what the compiler has hung on it."""
    return name.split('.', 1)[0]


def wanted(name):
    """Is this one of the functions? Its cold part is not, it is no entry."""
    return plain(name) in NAMES and '.cold' not in name


def events(functions):
    """Calls by column, of {function: [instructions, calls]}."""
    calls = dict.fromkeys(NAMES, 0)
    for name, (_, n) in functions.items():
        if wanted(name):
            calls[plain(name)] += n
    return {column: sum(calls[name] for name in names)
            for column, names in COUNTERS.items()}
