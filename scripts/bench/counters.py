# SPDX-License-Identifier: GPL-2.0
"""Functions of the kernel whose calls the benchmark counts."""

# column: functions whose calls add up to the event, including those that the compiler
# has renamed (name.isra.0)
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
    """Return the name of a function without a suffix of the compiler."""
    return name.split('.', 1)[0]


def wanted(name):
    """Return true for a function to count. Cold parts are not entry points."""
    return plain(name) in NAMES and '.cold' not in name


def events(functions):
    """Return the calls by column, from {function: [instructions, calls]}."""
    calls = dict.fromkeys(NAMES, 0)
    for name, (_, n) in functions.items():
        if wanted(name):
            calls[plain(name)] += n
    return {column: sum(calls[name] for name in names)
            for column, names in COUNTERS.items()}
