#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""iou-proxy between programs of a distribution: curl, busybox, nginx, ab, wrk, iperf3

What is not installed is skipped, but for nginx, which busybox replaces. With IOU_LONG=1,
everything is larger, and nginx, busybox, wrk and haproxy take part. The memory of haproxy
for idle connections is compared, in cgroups.
"""
import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from iou_proxy_test import (LONG, MIB, WAIT, Echo, Proxy, Report, begin, connect, equal,
                            pattern, read_exactly)

TIMEOUT = 900 if LONG else 150
SIZE = (100 if LONG else 1) * MIB


class Skip(Exception):
    pass


class Slow(AssertionError):
    """The machine was too slow for a test of this duration."""


def find(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def program(name):
    path = find(name)
    if not path:
        raise Skip(f"{name} is missing")
    return path


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def is_listening(port):
    """Without connecting, which some servers take for a client"""
    with open("/proc/net/tcp", encoding="ascii") as f:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                   for line in f.readlines()[1:])


def until_open(port, process):
    """Wait until a server listens."""
    end = time.monotonic() + WAIT
    while not is_listening(port):
        if time.monotonic() > end or process.poll() is not None:
            raise AssertionError(f"{process.args[0]} does not listen")
        time.sleep(0.1)


class Server:
    """A foreign program that listens"""

    def __init__(self, port, *args, **kwargs):
        self.port = port
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, **kwargs)
        try:
            until_open(port, self.process)
        except BaseException:
            self.process.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(WAIT)


def call(*args):
    run = subprocess.run(args, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if run.returncode:
        raise AssertionError(f"{args[0]}: status {run.returncode}: {run.stdout}{run.stderr}")
    return run.stdout


def until_fast(func, *durations):
    """Call a function with one duration after the other until the machine is fast enough."""
    for seconds in durations[:-1]:
        try:
            return func(seconds)
        except Slow as e:
            print(f"# {seconds} s were too short: {' '.join(str(e).split())[-300:]}")
        # a server may still be busy with the end of the last try
        time.sleep(3)
    return func(durations[-1])


class Web:
    """A folder with a file of random bytes, and a web server for it"""

    def __init__(self, server):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = self.tmp.name
        os.chmod(self.dir, 0o755)
        self.file = os.path.join(self.dir, "file")
        with open(self.file, "wb") as f:
            for _ in range(SIZE // MIB):
                f.write(os.urandom(MIB))
        with open(os.path.join(self.dir, "small"), "wb") as f:
            f.write(pattern(1000))
        self.port = free_port()
        self.server = Server(self.port, *getattr(self, server)())

    def busybox(self):
        return (program("busybox"), "httpd", "-f", "-p", f"127.0.0.1:{self.port}",
                "-h", self.dir)

    def nginx(self):
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"""
daemon off; master_process off; pid {self.dir}/pid; error_log stderr;
events {{ worker_connections 2000; }}
http {{
	access_log off; keepalive_requests 100000;
	client_body_temp_path {self.dir}/b; proxy_temp_path {self.dir}/p;
	fastcgi_temp_path {self.dir}/f; uwsgi_temp_path {self.dir}/u;
	scgi_temp_path {self.dir}/s;
	server {{ listen 127.0.0.1:{self.port} backlog=2000; root {self.dir}; }}
}}
""")
        return (program("nginx"), "-c", conf, "-p", self.dir, "-e", "stderr")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.__exit__()
        self.tmp.cleanup()


# nginx is not installed for an ordinary check
WEB = "nginx" if LONG or find("nginx") else "busybox"
WEBS = contextlib.ExitStack()


@functools.cache
def get_web(server):
    """One of each is enough, as starting it takes longer than many a test."""
    return WEBS.enter_context(Web(server))


def check_sleep(stats):
    """The process has entered the kernel once, and again after each signal."""
    equal("system calls", stats["enters"] <= stats["cqes"], True)
    print(f"# {stats['accepted']} connections, {stats['bytes-to-client']} bytes, "
          f"{stats['runs']} runs, {stats['enters']} enters, {stats['cqes']} CQEs, "
          f"{stats['switches']} context switches")


def test_download(server):
    """The same bytes come out, of several downloads at once."""
    curl, web = program("curl"), get_web(server)
    with Proxy(web.port) as proxy:
        outs = [os.path.join(web.dir, f"out{i}") for i in range(3 if LONG else 2)]
        runs = [subprocess.Popen((curl, "-sSf", "-m", str(TIMEOUT), "-o", out,
                                  f"http://127.0.0.1:{proxy.port}/file")) for out in outs]
        for run, out in zip(runs, outs):
            equal("status of curl", run.wait(TIMEOUT), 0)
            call("cmp", web.file, out)
            os.unlink(out)
        stats = proxy.stop()
        equal("resets", stats["resets"], 0)
        equal("all of it", stats["bytes-to-client"] > len(outs) * SIZE, True)
        check_sleep(stats)


def test_ab():
    """New connections for each request, and connections that are kept, if the server does"""
    ab, web = program("ab"), get_web(WEB)
    nr, conns = (5000, 20) if LONG else (30, 5)
    kinds = [(), ("-k",)] if WEB == "nginx" else [()]
    with Proxy(web.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/small"
        for keep in kinds:
            out = call(ab, "-q", *keep, "-n", str(nr), "-c", str(conns), "-s", str(TIMEOUT),
                       url)
            values = dict(line.split(":", 1) for line in out.splitlines() if ":" in line)
            equal("complete", int(values["Complete requests"]), nr)
            equal("failed", int(values["Failed requests"]), 0)
            equal("bytes", int(values["HTML transferred"].split()[0]), nr * 1000)
        stats = proxy.stop()
        equal("accepted", stats["accepted"] >= nr + conns * (len(kinds) - 1), True)
        check_sleep(stats)


def run_wrk(wrk, port, nr, seconds):
    with Proxy(port) as proxy:
        out = call(wrk, "-t1", f"-c{nr}", f"-d{seconds}s", "--timeout", "60s",
                   f"http://127.0.0.1:{proxy.port}/small")
        stats = proxy.stop()
        errors = "Socket errors" in out
        if errors and "connect 0, read 0, write 0," not in out or "Non-2xx" in out:
            raise AssertionError(out)
        # what is left are timeouts
        if errors or " 0 requests in" in out or stats["accepted"] < nr:
            raise Slow(f"{stats['accepted']} of {nr} connections: {out}")
        print("# " + [line for line in out.splitlines() if "requests in" in line][0].strip())
        check_sleep(stats)


def test_wrk():
    wrk, web = program("wrk"), get_web("nginx")
    until_fast(lambda seconds: run_wrk(wrk, web.port, 200, seconds), 20, 60, 180)


def received(iperf, port, seconds, args):
    """Bytes that iperf3 has received through a port, for each direction"""
    try:
        out = json.loads(call(iperf, "-J", "-c", "127.0.0.1", "-p", str(port),
                              "-t", str(seconds), *args))
        equal("error", out.get("error"), None)
    except AssertionError as e:
        # it has time limits of its own
        raise Slow(e) from e
    sums = [value["bytes"] for name, value in out["end"].items()
            if name.startswith("sum_received")]
    # much else can happen before the first byte
    if not sums or not all(sums):
        raise Slow(f"a direction received nothing: {sums}")
    return sums


def test_iperf():
    """Both directions of one connection, and several connections at once"""
    iperf, port = program("iperf3"), free_port()
    with Server(port, iperf, "-s", "-B", "127.0.0.1", "-p", str(port)) as server, \
            Proxy(server.port) as proxy:
        runs = (("--bidir",), ("--bidir", "-P", "4"), ("-R",))
        for args in runs if LONG else runs[:1]:
            sums = until_fast(lambda seconds, args=args: received(iperf, proxy.port, seconds, args),
                              *((10, 60) if LONG else (1, 10, 60)))
            print(f"# {' '.join(args)}: {sums} bytes")
        check_sleep(proxy.stop())


class Cgroup:
    """Counts the memory of a process and of what the kernel allocates for it"""

    def __init__(self, root, name):
        self.path = os.path.join(root, f"{name}{os.getpid()}")

    def __enter__(self):
        os.mkdir(self.path)
        return self

    def __exit__(self, *_):
        os.rmdir(self.path)

    def enter(self):
        with open(os.path.join(self.path, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    def memory(self):
        """Bytes of the process, of buffers of sockets, and of everything else in the kernel"""
        time.sleep(3)   # the kernel sums up every two seconds
        with open(os.path.join(self.path, "memory.stat"), encoding="ascii") as f:
            values = dict(line.split() for line in f)
        return {name: int(values[name]) for name in ("anon", "sock", "kernel")}


def idle_memory(name, port, cgroup):
    """Print and return the bytes for each idle connection, by kind. The clients and the
    server are in another cgroup."""
    nr, warm = (1000, 20) if LONG else (30, 5)
    clients = []
    for i in range(warm + nr):
        # the first ones fill caches
        if i == warm:
            before = cgroup.memory()
        clients.append(connect(port))
        clients[-1].sendall(b"hello")
        equal("answer", read_exactly(clients[-1], 5), b"hello")
    after = cgroup.memory()
    for client in clients:
        client.close()
    each = {kind: (after[kind] - before[kind]) // nr for kind in after}
    print(f"# {name} with {warm} connections: {before}, and for each of {nr} more: {each}")
    return each


def haproxy(port, server, folder, cgroup):
    conf = os.path.join(folder, "haproxy.cfg")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"""
global
	maxconn 2000
	nbthread 1
defaults
	mode tcp
	timeout connect 60s
	timeout client 600s
	timeout server 600s
listen proxy
	bind 127.0.0.1:{port}
	server server 127.0.0.1:{server}
""")
    return Server(port, program("haproxy"), "-db", "-f", conf, preexec_fn=cgroup.enter)


@contextlib.contextmanager
def cgroup_root(folder):
    """Mount cgroup2, and give groups the memory controller."""
    root = os.path.join(folder, "cgroup")
    os.mkdir(root)
    if subprocess.run(("mount", "-t", "cgroup2", "none", root), check=False).returncode:
        raise Skip("no cgroup2")
    try:
        with open(os.path.join(root, "cgroup.controllers"), encoding="ascii") as f:
            if "memory" not in f.read().split():
                raise Skip("no memory controller")
        with open(os.path.join(root, "cgroup.subtree_control"), "w", encoding="ascii") as f:
            f.write("+memory")
        yield root
    finally:
        subprocess.run(("umount", root), check=True)


def test_memory():
    """Idle connections have no buffer: a page for each would show."""
    with tempfile.TemporaryDirectory() as folder, cgroup_root(folder) as root:
        with Cgroup(root, "iou-proxy") as cgroup, Echo() as echo, \
                Proxy(echo.port, "-c", "1100", preexec_fn=cgroup.enter) as proxy:
            ours = idle_memory("iou-proxy", proxy.port, cgroup)
            equal("buffers", proxy.stop()["buffers-max"] <= 16, True)
        equal("memory of the process", ours["anon"] < 1024, True)
        if not LONG:
            return
        with Cgroup(root, "haproxy") as cgroup, Echo() as echo, \
                haproxy(free_port(), echo.port, folder, cgroup) as other:
            idle_memory("haproxy", other.port, cgroup)


class AppReport(Report):
    def run(self, name, test):
        try:
            super().run(name, test)
        except Skip as e:
            print(f"ok {self.nr} {name} # SKIP {e}", flush=True)


def main():
    report = AppReport(sys.argv[1:])
    if not begin():
        return 4
    with WEBS:
        for server in ("nginx", "busybox") if LONG else (WEB,):
            report.run(f"download from {server}", lambda s=server: test_download(s))
        for test in (test_ab, test_iperf, test_memory) + ((test_wrk,) if LONG else ()):
            report.run(test.__name__[5:], test)
    print(f"1..{report.nr}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
