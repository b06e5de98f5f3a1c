#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""iou-proxy: the ends of a connection, back pressure, and many connections

Everything is larger with IOU_LONG=1 in the environment: there are more connections, and
sockets have the buffers of the system. Without it, these are limited meanwhile, so that
little data fills them. IOU_PROXY is another iou-proxy than the one in this folder.
"""
import concurrent.futures
import contextlib
import ctypes
import errno
import fcntl
import os
import queue
import random
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

LONG = os.environ.get("IOU_LONG", "0") != "0"
HERE = os.path.dirname(os.path.abspath(__file__))
PROXY = os.environ.get("IOU_PROXY", os.path.join(HERE, "iou-proxy"))
WAIT = 600 if LONG else 60      # for what must happen, however slow the machine is
MIB = 1 << 20
SIOCOUTQ = termios.TIOCOUTQ


class Proxy:
    """An iou-proxy in front of a port of this machine"""

    def __init__(self, server, *options, **kwargs):
        self.lines = []
        self.cond = threading.Condition()
        # of two signals at once, one would be lost
        self.lock = threading.Lock()
        self.process = subprocess.Popen([PROXY, *options, "127.0.0.1:0", f"127.0.0.1:{server}"],
                                        stdout=subprocess.PIPE, text=True, **kwargs)
        line = self.process.stdout.readline().split()
        if not line:
            raise AssertionError("iou-proxy did not start")
        self.port = int(line[1])
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.cond:
                self.lines.append(line)
                self.cond.notify()
        with self.cond:
            self.lines.append(None)
            self.cond.notify()

    def _stats(self):
        with self.cond:
            if not self.cond.wait_for(lambda: len(self.lines) >= 3, WAIT):
                raise AssertionError("no statistics")
            lines, self.lines = self.lines[:3], self.lines[3:]
        words = " ".join(lines).split()
        return {name: int(value) for name, value in zip(words[::2], words[1::2])}

    def stats(self):
        with self.lock:
            self.process.send_signal(signal.SIGUSR1)
            return self._stats()

    def passed(self):
        """Bytes passed on so far. The answer shows that the proxy is not just late."""
        stats = self.stats()
        return stats["bytes-to-server"], stats["bytes-to-client"]

    def after_reset(self):
        """Leave the proxy time to pass a reset on too soon."""
        time.sleep(0.3)

    def until(self, text, condition):
        """Wait until the statistics meet a condition, and return them."""
        end = time.monotonic() + WAIT
        while True:
            stats = self.stats()
            if condition(stats):
                return stats
            if time.monotonic() > end:
                raise AssertionError(f"{text}: {stats}")
            time.sleep(0.2)

    def stop(self):
        """Every connection has to end by itself, with all buffers given back."""
        self.process.send_signal(signal.SIGTERM)
        stats = self._stats()
        equal("exit status", self.process.wait(WAIT), 0)
        equal("open connections", stats["open"], 0)
        equal("buffers in use", stats["buffers"], 0)
        equal("ended connections", stats["ended"], stats["accepted"])
        return stats

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Service:
    """A listener, and a proxy in front of it"""

    def __init__(self, *options):
        self.lock = threading.Lock()
        self.listener = listen()
        self.proxy = Proxy(self.listener.getsockname()[1], *options)

    def connect(self):
        """A connection through the proxy: the socket of the client, that of the server"""
        with self.lock:
            client = connect(self.proxy.port)
            server = self.listener.accept()[0]
        server.settimeout(WAIT)
        return client, server

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.listener.close()
        self.proxy.__exit__(*args)


@contextlib.contextmanager
def limited_buffers():
    """Limit the buffers of TCP sockets of this system, to receive and to send."""
    paths = [f"/proc/sys/net/ipv4/tcp_{name}" for name in ("rmem", "wmem")]
    before = []
    for path in paths:
        with open(path, encoding="ascii") as f:
            before.append(f.read())

    def set_all(values):
        for path, value in zip(paths, values):
            with open(path, "w", encoding="ascii") as f:
                f.write(value)

    def on_term(*_):
        # at once: threads that wait for something would delay an exception
        set_all(before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.signal(signal.SIGTERM, on_term)
    try:
        set_all(f"4096 {size} {size}" for size in (65536, 262144))
        yield
    finally:
        set_all(before)
        signal.signal(signal.SIGTERM, handler)


def listen():
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.settimeout(WAIT)
    return listener


def connect(port):
    return socket.create_connection(("127.0.0.1", port), WAIT)


def equal(what, value, expected):
    if value != expected:
        raise AssertionError(f"{what}: {value!r}, expected {expected!r}")


# a prime, so that the pattern is another one in each buffer
BLOCK = random.Random(1).randbytes(65537)


def pattern(length, start=0):
    """Bytes that differ from place to place"""
    start %= len(BLOCK)
    return (BLOCK * ((start + length) // len(BLOCK) + 1))[start:start + length]


def read_all(sock):
    """All data up to the end of the stream: a bytearray, and an errno or 0"""
    data = bytearray()
    try:
        while True:
            part = sock.recv(65536)
            if not part:
                return data, 0
            data += part
    except OSError as e:
        if isinstance(e, TimeoutError) and e.errno is None:
            raise AssertionError(f"no end of the stream after {len(data)} bytes") from e
        return data, e.errno


def read_exactly(sock, length):
    data = bytearray()
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            raise AssertionError(f"end of the stream after {len(data)} of {length} bytes")
        data += part
    return data


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def unacked(sock):
    return struct.unpack("i", fcntl.ioctl(sock, SIOCOUTQ, b"\0" * 4))[0]


def until_acked(sock):
    """Wait until the other end has acknowledged all data."""
    end = time.monotonic() + WAIT
    while left := unacked(sock):
        if time.monotonic() > end:
            raise AssertionError(f"{left} bytes are not acknowledged")
        time.sleep(0.01)


def send_until_full(sock, limit, proxy=None, pause=0.5):
    """Send until nothing goes for a while. Return the number of bytes. With a proxy, two
    answers of it, before and after a part of that time, have to show no progress."""
    sock.setblocking(False)
    sent, passed = 0, None
    while sent < limit:
        if select.select([], [sock], [], pause / 2 if proxy else pause)[1]:
            passed = None
            with contextlib.suppress(BlockingIOError):
                sent += sock.send(pattern(min(65536, limit - sent), sent))
            continue
        before, passed = passed, proxy.passed() if proxy else None
        if passed == before:
            break
    sock.settimeout(WAIT)
    return sent


# Tests of the ends of a connection. Each is run with both sides as the near one.

def send_all(sock, data):
    """Send data, and end the stream, in the background. The reader notices an error."""
    def run():
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    threading.Thread(target=run, daemon=True).start()


def half_close(near, far, _):
    send_all(near, pattern(100000))
    data, err = read_all(far)
    equal("end", err, 0)
    equal("data is the same", data == pattern(100000), True)
    time.sleep(0.2)
    # the other direction is as good as before
    send_all(far, pattern(300000, 40000))
    data, err = read_all(near)
    equal("end of the other direction", err, 0)
    equal("data of the other direction", data == pattern(300000, 40000), True)


def both_close(near, far, _):
    for sock in (near, far):
        send_all(sock, pattern(50000))
    for sock in (far, near):
        data, err = read_all(sock)
        equal("end", err, 0)
        equal("data is the same", data == pattern(50000), True)


def data_then_reset(near, far, proxy):
    """All data that the proxy has received goes out first, as slowly as the peer reads."""
    sent = send_until_full(near, 8 * MIB, proxy)
    acked = sent - unacked(near)
    reset(near)
    time.sleep(0.5)
    data, err = read_all(far)
    equal("end", err, errno.ECONNRESET)
    equal("data is the same", data == pattern(len(data)), True)
    if len(data) < acked:
        raise AssertionError(f"{len(data)} bytes arrived, {acked} were received")


def buffered_then_reset(near, far, proxy):
    """The proxy has sent all data, but the peer has received only a part of it."""
    near.sendall(pattern(150000))
    until_acked(near)
    time.sleep(0.2)
    reset(near)
    proxy.after_reset()
    data, err = read_all(far)
    equal("length", len(data), 150000)
    equal("data is the same", data == pattern(150000), True)
    equal("end", err, errno.ECONNRESET)


def short_then_reset(near, far, proxy):
    # the proxy has connected: before that, a reset would be an error of its connect()
    far.sendall(b"x")
    equal("first byte", read_exactly(near, 1), b"x")
    near.sendall(b"last words")
    until_acked(near)
    reset(near)
    proxy.after_reset()
    data, err = read_all(far)
    equal("data", bytes(data), b"last words")
    equal("end", err, errno.ECONNRESET)


def reset_while_sending(near, far, proxy):
    """A side that reads nothing resets: the one that sends learns it."""
    send_until_full(far, 100 * MIB, proxy)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near.close()
    poll = select.poll()
    poll.register(far, select.POLLHUP)
    equal("hangup", bool(poll.poll(WAIT * 1000)), True)
    equal("end", read_all(far), (b"", errno.ECONNRESET))


def answer_then_reset(near, far, proxy):
    """The side that resets was blocked in reading nothing, and has sent an answer before."""
    send_until_full(far, 100 * MIB, proxy)
    near.sendall(b"too much")
    until_acked(near)
    reset(near)
    data, err = read_all(far)
    equal("data", bytes(data), b"too much")
    equal("end", err, errno.ECONNRESET)


def close_then_reset(near, far, _):
    near.sendall(b"request")
    near.shutdown(socket.SHUT_WR)
    equal("request", read_all(far), (b"request", 0))
    reset(near)
    # nobody sends anything, and yet
    poll = select.poll()
    poll.register(far, select.POLLHUP)
    equal("hangup", bool(poll.poll(WAIT * 1000)), True)


END_TESTS = (half_close, both_close, data_then_reset, buffered_then_reset, short_then_reset,
             reset_while_sending, answer_then_reset, close_then_reset)


def close_all(*socks):
    for sock in socks:
        sock.close()


def test_end(test, service, side):
    client, server = service.connect()
    try:
        near, far = (client, server) if side == "client" else (server, client)
        test(near, far, service.proxy)
    finally:
        close_all(client, server)


def test_one_end(test, service, side):
    """Also compare how the proxy has counted the connection, which is the only one."""
    before = service.proxy.stats()
    test_end(test, service, side)
    stats = service.proxy.until("ended", lambda s: s["open"] == 0)
    equal("accepted", stats["accepted"] - before["accepted"], 1)
    equal("resets", stats["resets"] - before["resets"], int("reset" in test.__name__))
    equal("idle", stats["idle"] - before["idle"], 0)
    equal("buffers", stats["buffers"], 0)


def test_ends(report):
    """All ends at the same time, and with IOU_LONG one after the other as well"""
    ends = [(f"{test.__name__} {side}", test, side)
            for test in END_TESTS for side in ("client", "server")]
    ends = [end for end in ends if report.wants(end[0])]
    if not ends:
        return
    with Service() as service, concurrent.futures.ThreadPoolExecutor(len(ends)) as pool:
        futures = [pool.submit(test_end, test, service, side) for _, test, side in ends]
        for (name, _, _), future in zip(ends, futures):
            report.run(name, future.result)
        stats = service.proxy.until("ended", lambda s: s["open"] == 0)
        report.run("accepted", lambda: equal("accepted", stats["accepted"], len(ends)))
        report.run("resets", lambda: equal(
            "resets", stats["resets"], sum("reset" in name for name, _, _ in ends)))
        if LONG:
            for name, test, side in ends:
                report.run(f"{name}, alone", lambda t=test, s=side: test_one_end(t, service, s))
        report.run("no connection is left", service.proxy.stop)


def test_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Proxy(port) as proxy:
        for _ in range(5):
            try:
                with connect(proxy.port) as client:
                    equal("end", read_all(client), (b"", errno.ECONNRESET))
            except ConnectionResetError:
                pass    # the reset was faster than connect()
        stats = proxy.stop()
        equal("refused", (stats["refused"], stats["resets"]), (5, 5))


class Pace:
    """The longest time between two steps"""

    def __init__(self):
        self.longest = 0
        self.start()

    def start(self):
        self.last = time.monotonic()

    def step(self):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now


def keep_busy(busy, proxy, idle, pace):
    """Exchange bytes until the other two are idle, and for longer than that takes."""
    start = time.monotonic()
    while proxy.stats()["idle"] < 2 or time.monotonic() < start + 1.5 * idle:
        if time.monotonic() > start + 2 * idle + WAIT:
            raise AssertionError(f"idle: {proxy.stats()['idle']}, expected 2")
        busy[0].sendall(b"x")
        equal("byte", read_exactly(busy[1], 1), b"x")
        pace.step()
        time.sleep(idle / 8)


def idle_ends(idle, pace):
    with Service("-i", str(idle)) as service:
        stuck, quiet = service.connect(), service.connect()
        pace.start()
        send_until_full(stuck[0], 100 * MIB, service.proxy)
        busy = service.connect()
        pace.step()
        keep_busy(busy, service.proxy, idle, pace)
        for sock in quiet:
            equal("end", read_all(sock), (b"", errno.ECONNRESET))
        equal("end of the stuck one", read_all(stuck[0]), (b"", errno.ECONNRESET))
        equal("open", service.proxy.until("open", lambda s: s["open"] <= 1)["open"], 1)
        busy[0].close()
        equal("end of the busy one", read_all(busy[1]), (b"", 0))
        close_all(*stuck, *quiet, *busy)
        equal("idle", service.proxy.stop()["idle"], 2)


def test_idle():
    """Of two connections, the idle one is reset, and so is one whose peer takes nothing."""
    for idle in (2, 8, 30):
        pace = Pace()
        try:
            return idle_ends(idle, pace)
        except (AssertionError, OSError) as e:
            pace.step()
            if idle == 30 or pace.longest <= idle / 2:
                raise
            # the busy one was idle, too
            print(f"# {e} after a pause of {pace.longest:.1f} s, again with a longer time")


class Echo:
    """A server that sends back what it gets, one connection after the other or all"""

    def __init__(self):
        self.listener = listen()
        self.port = self.listener.getsockname()[1]
        self.poll = select.epoll()
        self.poll.register(self.listener, select.EPOLLIN)
        self.conns = {}
        self.done = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.done:
            for fd, _ in self.poll.poll(0.2):
                if fd == self.listener.fileno():
                    conn = self.listener.accept()[0]
                    conn.settimeout(WAIT)
                    self.conns[conn.fileno()] = conn
                    self.poll.register(conn, select.EPOLLIN)
                else:
                    self._echo(fd)

    def _echo(self, fd):
        conn = self.conns[fd]
        try:
            data = conn.recv(65536)
            if data:
                conn.sendall(data)
                return
        except OSError:
            pass
        self.poll.unregister(conn)
        del self.conns[fd]
        conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()
        for conn in self.conns.values():
            conn.close()
        self.listener.close()


def anonymous(pid):
    """Bytes of memory of a process, without pages of its program, which appear as it runs"""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("RssAnon:"))


def stop_client(port, proxy=None, pause=2.0 if LONG else 1.0):
    """Send up to 100 MiB to a server that sends them back, and read nothing. It must be
    stopped. Return the socket and the number of bytes."""
    client = connect(port)
    sent = send_until_full(client, 100 * MIB, proxy, pause)
    if sent == 100 * MIB:
        client.close()
        raise AssertionError("nothing has stopped the client")
    print(f"# the client was stopped after {sent} bytes")
    return client, sent


def test_back_pressure():
    """The proxy holds a buffer for each direction. Then the client reads all its data."""
    with Echo() as echo, Proxy(echo.port) as proxy:
        proxy.stats()
        before = anonymous(proxy.process.pid)
        client, sent = stop_client(proxy.port, proxy)
        stats = proxy.stats()
        equal("buffers", stats["buffers-max"] <= 2, True)
        growth = anonymous(proxy.process.pid) - before
        equal("growth of at most 64 KiB", (growth, growth <= 64 << 10), (growth, True))
        client.shutdown(socket.SHUT_WR)
        data, err = read_all(client)
        equal("end", (err, len(data)), (0, sent))
        equal("data is the same", data == pattern(sent), True)
        client.close()
        equal("bytes", proxy.stop()["bytes-to-client"], sent)


def exchange(port, length, results):
    with connect(port) as client:
        data = pattern(length)
        threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
        results.append(read_exactly(client, length) == data)


def test_few_buffers():
    """Fewer buffers than directions: all of them get their turn."""
    nr, buffers = (40, 2) if LONG else (5, 1)
    with Echo() as echo, Proxy(echo.port, "-b", str(buffers), "-s", "2000") as proxy:
        results = []
        threads = [threading.Thread(target=exchange, args=(proxy.port, 30000, results))
                   for _ in range(nr)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        equal("results", results, [True] * nr)
        stats = proxy.stop()
        equal("buffers", stats["buffers-max"] <= buffers, True)
        print(f"# {stats['starved']} receives had to wait for a buffer")


def test_starved():
    """All buffers are held by a peer that reads nothing, until it is reset."""
    with Service("-b", "1", "-c", "4") as service:
        stuck = service.connect()
        send_until_full(stuck[0], 100 * MIB, service.proxy)
        client, server = service.connect()
        client.sendall(b"hungry")
        stats = service.proxy.until("starved", lambda s: s["starved"])
        equal("buffers", stats["buffers"], 1)
        equal("nothing came", select.select([server], [], [], 0.5)[0], [])
        reset(stuck[1])
        equal("data", read_exactly(server, 6), b"hungry")
        server.close()
        equal("end", read_all(client), (b"", 0))
        close_all(client, *stuck)
        service.proxy.stop()


def test_full():
    """More clients than connections: the others wait in the backlog. Connections one after
    the other then use the same descriptors."""
    nr = 500 if LONG else 10
    with Echo() as echo, Proxy(echo.port, "-c", "3") as proxy:
        clients = []
        for _ in range(8):
            clients.append(connect(proxy.port))
            clients[-1].sendall(b"hello")
        for client in clients:
            equal("answer", read_exactly(client, 5), b"hello")
            client.close()
        for i in range(nr):
            with connect(proxy.port) as client:
                client.sendall(pattern(100, i * 4))
                equal("answer", read_exactly(client, 100), pattern(100, i * 4))
        stats = proxy.stop()
        equal("at a time", stats["open-max"], 3)
        equal("accepted", stats["accepted"], 8 + nr)


def test_many():
    """Many connections at once, without a system call for any of them"""
    nr = 1000 if LONG else 40
    with Echo() as echo, Proxy(echo.port) as proxy:
        before = proxy.stats()
        clients = []
        for i in range(nr):
            clients.append(connect(proxy.port))
            clients[-1].sendall(pattern(1000, i * 4))
        for i, client in enumerate(clients):
            equal("answer", read_exactly(client, 1000) == pattern(1000, i * 4), True)
        equal("open", proxy.stats()["open"], nr)
        for i, client in enumerate(clients):
            client.close() if i % 2 else reset(client)
        stats = proxy.until("ended", lambda s: s["open"] == 0)
        # each printing of statistics is one CQE
        equal("only signals woke it",
              stats["enters"] - before["enters"] <= stats["cqes"] - before["cqes"], True)
        equal("resets", stats["resets"], nr // 2)
        proxy.stop()


def until_refused(port):
    """Wait until nobody listens at the port."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        try:
            connect(port).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass    # the listener was shut down meanwhile
        time.sleep(0.1)
    raise AssertionError("it accepts another client")


def test_stop():
    """SIGTERM waits for connections, but accepts no more. A second one resets them."""
    with Service() as service:
        patient, hurried = service.connect(), service.connect()
        service.proxy.process.send_signal(signal.SIGTERM)
        until_refused(service.proxy.port)
        half_close(*patient, service.proxy)
        service.proxy.process.send_signal(signal.SIGTERM)
        equal("exit status", service.proxy.process.wait(WAIT), 0)
        for sock in hurried:
            equal("end", read_all(sock), (b"", errno.ECONNRESET))
        close_all(*patient, *hurried)


def test_usage():
    here = "127.0.0.1:0"
    wrong = (["-c", "0", here, here], ["127.0.0.1", here], [], ["x"], [here],
             ["a:1", "b:2", "c:3"], ["-i", "x", here, here], ["-x", here, here])
    for args in wrong if LONG else wrong[:2]:
        run = subprocess.run([PROXY, *args], capture_output=True, text=True, timeout=WAIT,
                             check=False)
        equal(f"status of {args}", (run.returncode, "usage:" in run.stderr), (2, True))
    run = subprocess.run([PROXY, "--help"], capture_output=True, text=True, timeout=WAIT,
                         check=False)
    equal("help", (run.returncode, run.stdout.startswith("usage:")), (0, True))


# Controls: relays that do one thing wrong, and tests that have to notice it

class Relay:
    """A relay with a thread for each direction, and one mistake"""

    def __init__(self, server, mistake):
        self.server = server
        self.mistake = mistake
        # the end of a stream, or a reset, has had its effect
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        client = self.listener.accept()[0]
        server = socket.create_connection(("127.0.0.1", self.server))
        for a, b in ((client, server), (server, client)):
            threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _send(self, b, parts):
        try:
            while True:
                b.sendall(parts.get())
        except OSError:
            pass

    def _pass(self, a, b):
        send = b.sendall
        if self.mistake == "reads without end":
            parts = queue.SimpleQueue()
            send = parts.put
            threading.Thread(target=self._send, args=(b, parts), daemon=True).start()
        try:
            while data := a.recv(16384):
                send(data)
        except ConnectionResetError:
            if self.mistake == "resets at once":
                # by a connect() to AF_UNSPEC, as another thread is using the socket
                ctypes.CDLL(None).connect(b.fileno(), bytes(16), 16)
        except OSError:
            return
        try:
            b.shutdown(socket.SHUT_RDWR if self.mistake == "closes both" else socket.SHUT_WR)
        except OSError:
            pass    # it has no connection any more
        self.ended.set()

    def after_reset(self):
        self.ended.wait(WAIT)

    def close(self):
        self.listener.close()


def control_back_pressure():
    with Echo() as echo:
        relay = Relay(echo.port, "reads without end")
        try:
            # a pause of the relay is not the end
            client, _ = stop_client(relay.port, pause=60)
        except AssertionError as e:
            print(f"# as it should: {e}")
            return
        client.close()
    raise AssertionError("nobody has noticed that the relay reads without end")


def control(mistake, test):
    """The test must fail with a relay that makes the mistake."""
    with listen() as listener:
        relay = Relay(listener.getsockname()[1], mistake)
        client = connect(relay.port)
        server = listener.accept()[0]
        server.settimeout(WAIT)
        try:
            test(client, server, relay)
        except (AssertionError, OSError) as e:
            print(f"# as it should: {type(e).__name__}: {e}")
            return
        finally:
            close_all(client, server, relay)
    raise AssertionError(f"nobody has noticed that the relay {mistake}")


CONTROLS = (("closes both", half_close), ("resets at once", buffered_then_reset),
            ("ends the stream instead of a reset", short_then_reset))

OTHER_TESTS = (test_refused, test_idle, test_back_pressure, test_few_buffers, test_starved,
               test_full, test_many, test_stop, test_usage)


class Report:
    """Runs tests, those that are named on the command line or all, and prints TAP."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.nr = self.failed = 0

    def wants(self, name):
        return not self.wanted or any(w in name for w in self.wanted)

    def run(self, name, test):
        if not self.wants(name):
            return
        self.nr += 1
        start = time.monotonic()
        try:
            test()
            result = "ok"
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            print(f"# {type(e).__name__}: {e}")
            self.failed += 1
            result = "not ok"
        print(f"# {time.monotonic() - start:.1f} s\n{result} {self.nr} {name}", flush=True)


def begin():
    """Begin the output. Return false if nothing can be tested here."""
    if os.geteuid() != 0 or not shutil.which(PROXY):
        print("1..0 # SKIP needs root, and iou-proxy")
        return False
    # for both ends of many connections
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY:
        hard = max(hard, 8192)
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, hard))
    print("TAP version 13", flush=True)
    return True


def main():
    report = Report(sys.argv[1:])
    if not begin():
        return 4
    with contextlib.nullcontext() if LONG else limited_buffers():
        test_ends(report)
        for mistake, test in CONTROLS:
            report.run(f"control: {mistake}, {test.__name__}",
                       lambda m=mistake, t=test: control(m, t))
        if LONG:
            report.run("control: reads without end", control_back_pressure)
        for test in OTHER_TESTS:
            report.run(test.__name__[5:], test)
    print(f"1..{report.nr}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
