#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Record what flows of io_uring do, and draw them.

A flow is an IORING_OP_BPF request, whose BPF program issues further requests. This
tool records the tracepoints io_uring_bpf_* together with those of requests, and draws
one flow: who has issued what, when each request has completed, what the program said,
and which CQEs were spared. See iou-flow(1).
"""
import argparse
import errno
import html
import os
import re
import signal
import sys
import time

TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
NEEDED = ("io_uring_bpf_run", "io_uring_bpf_kfunc", "io_uring_bpf_flow")
EVENTS = NEEDED + ("io_uring_submit_req", "io_uring_req_failed", "io_uring_complete",
                   "io_uring_cqe_overflow")
HEADER = "iou-flow 1"
CQE_F_MORE, CQE_F_NOTIF = 2, 8


class Error(Exception):
    """What is wrong, for the user"""


def err_name(res):
    """A result as text: an error by its name."""
    return errno.errorcode.get(-res, str(res)) if res < 0 else str(res)


# --- recording ---------------------------------------------------------------------


class Instance:
    """A trace instance of its own, so that nobody else's tracing is disturbed"""

    def __init__(self, kbytes):
        self.path = os.path.join(self.find(), "instances", f"iou-flow-{os.getpid()}")
        os.mkdir(self.path)
        try:
            self.write("trace_clock", "mono")
            self.write("buffer_size_kb", str(kbytes))
        except OSError:
            self.remove()
            raise

    @staticmethod
    def find():
        for path in TRACEFS:
            if os.path.isdir(os.path.join(path, "instances")):
                events = os.path.join(path, "events", "io_uring")
                for name in NEEDED:
                    if not os.path.isdir(os.path.join(events, name)):
                        raise Error(f"this kernel has no tracepoint io_uring:{name}, "
                                    "is CONFIG_IO_URING_BPF_PROG set?")
                return path
        # the folder exists, but may be closed to others
        if os.geteuid() and os.path.isdir(TRACEFS[0]):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), TRACEFS[0])
        raise Error("tracefs is not mounted: mount -t tracefs nodev " + TRACEFS[0])

    def write(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as f:
            f.write(text)

    def start(self, pids):
        if pids:
            self.write("options/event-fork", "1")
            self.write("set_event_pid", " ".join(map(str, pids)))
        for name in EVENTS:
            self.write(f"events/io_uring/{name}/enable", "1")

    def stop(self):
        self.write("tracing_on", "0")

    def lost(self):
        """Number of events that the buffer had no room for"""
        total = 0
        cpus = os.path.join(self.path, "per_cpu")
        for cpu in os.listdir(cpus):
            with open(os.path.join(cpus, cpu, "stats"), encoding="ascii") as f:
                for key, value in re.findall(r"^(overrun|dropped events): (\d+)",
                                             f.read(), re.M):
                    total += int(value)
        return total

    def save(self, out, what):
        nr = 0
        out.write(f"# {HEADER}\n# {os.uname().release}\n# {what}\n")
        with open(os.path.join(self.path, "trace"), encoding="utf-8",
                  errors="replace") as f:
            for line in f:
                nr += not line.startswith("#")
                out.write(line)
        return nr

    def remove(self):
        os.rmdir(self.path)


def start_command(argv):
    """Fork. The child executes @argv when the parent writes to the returned pipe."""
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(go_read)
        return pid, go_write
    os.close(go_write)
    # nothing if the parent has failed
    if os.read(go_read, 1):
        try:
            os.execvp(argv[0], argv)
        except OSError as e:
            print(f"iou-flow: {argv[0]}: {e.strerror}", file=sys.stderr)
    os._exit(127)


def record_command(trace, args):
    pid, go = start_command(args.command)
    trace.start([] if args.all else [pid])
    os.write(go, b"x")
    # the command gets the signals of the terminal, too
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 128 - status if status < 0 else status


def record_others(trace, args):
    pids = []
    if args.pid:
        try:
            pids = os.listdir(f"/proc/{args.pid}/task")
        except FileNotFoundError:
            raise Error(f"there is no process {args.pid}") from None
    trace.start(pids)
    try:
        time.sleep(args.duration if args.duration else 1 << 31)
    except KeyboardInterrupt:
        pass
    return 0


def record(args):
    """Record, and return the exit status of the command."""
    if args.command and args.pid:
        raise Error("either a command or -p, not both")
    if not (args.command or args.pid or args.all):
        raise Error("what is to be recorded? A command, -p PID, or -a")
    trace = Instance(args.buffer)
    try:
        run = record_command if args.command else record_others
        status = run(trace, args)
        trace.stop()
        lost = trace.lost()
        with open(args.output, "w", encoding="utf-8") as out:
            nr = trace.save(out, " ".join(args.command) or "other processes")
    finally:
        trace.remove()
    print(f"{args.output}: {nr} events", file=sys.stderr)
    if lost:
        print(f"iou-flow: {lost} events were lost, try a larger buffer: "
              f"-b {4 * args.buffer}", file=sys.stderr)
    return status


# --- reading -----------------------------------------------------------------------


class Request:
    """A request of a flow, from its issue to its last completion"""

    def __init__(self, fields, when, run):
        self.opcode, self.user_data = fields["opcode"], int(fields["user_data"], 16)
        # when and by which run the request was issued; None: not recorded
        self.time, self.run = when, run
        # of the programs, for its completions
        self.runs = []
        self.done = False
        # time and result of a CQE that no program has seen
        self.unseen = None

    def __str__(self):
        return f"{self.opcode} {self.user_data:#x}"


class Run:
    """A run of a program"""

    def __init__(self, fields, when, refused):
        self.time = when
        self.event, self.verdict = fields["event"], fields["verdict"]
        self.flags = fields["flags"].split("|")
        self.res, self.cflags = int(fields["res"]), int(fields["cflags"], 16)
        self.again = fields["again"] == "1"
        # CQEs that the program has posted, calls of bpf_io_uring_cancel()
        self.cqes, self.cancels = int(fields["cqes"]), int(fields["cancels"])
        # kfuncs that have refused: (name, error)
        self.refused = refused
        # the request that has completed, and whether its CQE was posted
        self.req, self.posted = None, False
        self.issued = []


class Flow:
    """A flow, from its issue to its end"""

    def __init__(self, ring, id_, task):
        self.ring, self.id, self.task = ring, id_, task
        self.slot = self.user_data = self.start = self.end = None
        self.result = self.reason = self.pred = None
        self.posted = False
        self.runs, self.children = [], []

    def nr_posted(self):
        """CQEs that the application has got"""
        unseen = sum(r.unseen is not None for r in self.children)
        return sum(r.cqes + r.posted for r in self.runs) + unseen + self.posted

    def nr_spared(self):
        """Completions that a program has kept from the application"""
        spared = sum(not r.posted for r in self.runs if r.req)
        return spared + (self.end is not None and not self.posted)

    def first_time(self):
        return self.runs[0].time if self.start is None else self.start

    def last_time(self):
        if self.end is not None:
            return self.end
        return self.runs[-1].time if self.runs else self.start


class Ring:
    """State of a ring while the recording is read"""

    def __init__(self):
        # by id; by request: those in flight; by request: whose CQE might be posted
        self.flows, self.reqs, self.cqes = {}, {}, {}
        # by flow: kfuncs that have refused during the current run
        self.refused = {}
        # the last run, its flow, and the requests that it has issued but not yet
        self.run = self.flow = None
        self.links = self.sqes = 0


class Recording:
    """All flows of a recording, in the order of their start"""

    LINE = re.compile(r"^\s*(.+)-(\d+)\s+\[\d+\]\s+(?:\S+\s+)?(\d+\.\d+): (\w+): (.*)$")
    FIELD = re.compile(r"(\w+)[ =]([^,]*?)(?:, |\s*$)")

    def __init__(self, lines):
        self.flows, self.rings, self.info = [], {}, []
        self.nr_watched = nr = 0
        for line in lines:
            m = self.LINE.match(line)
            if line.startswith("#"):
                self.info.append(line[1:].strip())
            elif m and m.group(4) in EVENTS:
                self.add(*m.groups())
                nr += 1
        if not nr:
            raise Error("there is no event of io_uring in the recording")
        self.flows = [f for f in self.flows if f.runs or f.start is not None]

    def add(self, task, pid, when, event, rest):
        fields = dict(self.FIELD.findall(rest))
        if "ptrval" in fields.get("ring", ""):
            raise Error("the kernel hides addresses, so that rings look the same: "
                        "record later after the boot, or boot with no_hash_pointers")
        try:
            ring = self.rings.setdefault(fields["ring"], Ring())
            handler = getattr(self, event[len("io_uring_"):])
            handler(ring, fields, float(when), f"{task}-{pid}")
        except (KeyError, ValueError) as e:
            raise Error(f"the recording has a line that is cut: {event}: {rest[:60]}") from e

    def get_flow(self, ring, fields, task):
        id_ = int(fields["flow"])
        if id_ not in ring.flows:
            ring.flows[id_] = Flow(fields["ring"], id_, task)
            self.flows.append(ring.flows[id_])
        return ring.flows[id_]

    def bpf_flow(self, ring, fields, when, task):
        if fields["state"] == "start":
            # the end of the flow before was not recorded
            ring.flows.pop(int(fields["flow"]), None)
        flow = self.get_flow(ring, fields, task)
        flow.slot, flow.user_data = int(fields["slot"]), int(fields["user_data"], 16)
        if fields["state"] == "start":
            flow.start = when
            return
        flow.end, flow.reason, flow.result = when, fields["reason"], int(fields["result"])
        ring.cqes[fields["req"]] = flow
        del ring.flows[flow.id]

    def bpf_kfunc(self, ring, fields, _when, _task):
        ring.refused.setdefault(fields["flow"], []).append(
            (fields["kfunc"], int(fields["error"])))

    def bpf_run(self, ring, fields, when, task):
        run = ring.run = Run(fields, when, ring.refused.pop(fields["flow"], []))
        ring.links, ring.sqes = int(fields["links"]), int(fields["sqes"])
        ring.flow = None
        if fields["flow"] == "-1":
            self.nr_watched += 1
            return
        flow = ring.flow = self.get_flow(ring, fields, task)
        flow.slot, flow.user_data = int(fields["slot"]), int(fields["flow_data"], 16)
        flow.runs.append(run)
        if run.event in ("START", "CANCEL"):
            return
        run.req = self.get_completed(ring, flow, run, fields)
        run.req.runs.append(run)
        if not run.again:
            ring.cqes[fields["req"]] = run
            run.req.done |= run.event == "COMPLETE"
        else:
            # a copy carries the CQE
            run.posted = run.verdict.startswith("POST")

    def get_completed(self, ring, flow, run, fields):
        """Return the request that @run is about."""
        req = ring.reqs.get(fields["req"])
        if "CHILD" not in run.flags:
            flow.pred = req or Request(fields, None, None)
            return flow.pred
        if run.event == "COMPLETE" and req in flow.children and not req.done:
            return req
        # a CQE of its own, a copy that was reissued, or issued before the recording
        for child in flow.children:
            if ((child.opcode, child.user_data) ==
                    (fields["opcode"], int(fields["user_data"], 16)) and
                    (not child.done or self.lacks_notif(child, run))):
                break
        else:
            child = Request(fields, None, None)
            flow.children.append(child)
        if run.event == "COMPLETE":
            ring.reqs[fields["req"]] = child
        return child

    @staticmethod
    def lacks_notif(child, run):
        return run.cflags & CQE_F_NOTIF and not any(r.cflags & CQE_F_NOTIF
                                                    for r in child.runs)

    def submit_req(self, ring, fields, when, _task):
        ours = not ring.links and ring.sqes and ring.flow
        req = Request(fields, when, ring.run if ours else None)
        if ring.links:
            ring.links -= 1
        elif ring.sqes:
            ring.sqes -= 1
        if ours:
            ring.run.issued.append(req)
            ring.flow.children.append(req)
        ring.reqs[fields["req"]] = req
        ring.cqes.pop(fields["req"], None)

    req_failed = submit_req

    def complete(self, ring, fields, when, _task):
        seen = ring.cqes.pop(fields["req"], None)
        req = ring.reqs.get(fields["req"])
        if seen:
            seen.posted = True
        elif req:
            req.unseen, req.done = (when, int(fields["result"])), True

    def cqe_overflow(self, ring, fields, _when, _task):
        """A CQE waits for room in the CQ. The event does not name the request."""
        for ptr, seen in ring.cqes.items():
            of = seen.req if isinstance(seen, Run) else seen
            if (of.user_data == int(fields["user_data"], 16) and
                    (of is seen or seen.verdict.startswith("POST"))):
                seen.posted = True
                del ring.cqes[ptr]
                return


def load(args):
    if args.file == "-":
        return Recording(sys.stdin)
    with open(args.file, encoding="utf-8", errors="replace") as f:
        return Recording(f)


def load_flow(args):
    """Return the recording, and the flow that the arguments name."""
    rec = load(args)
    if not rec.flows:
        raise Error("there is no flow in the recording" +
                    (f", but {rec.nr_watched} runs of programs that watch"
                     if rec.nr_watched else ""))
    nr = args.flow
    if nr is None:
        # the one with the most to see
        nr = max(range(len(rec.flows)), key=lambda i: len(rec.flows[i].runs)) + 1
    if not 1 <= nr <= len(rec.flows):
        raise Error(f"there is no flow {nr}, the recording has 1 to {len(rec.flows)}")
    return rec, nr, rec.flows[nr - 1]


# --- text --------------------------------------------------------------------------


def duration(seconds):
    """A time as text, with three or four digits"""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us" if seconds else "0"
    if seconds < 1:
        return f"{seconds * 1e3:.4g} ms"
    return f"{seconds:.4g} s"


def count(nr, what):
    return f"{nr} {what}" + "s" * (nr != 1)


def outcome(flow):
    if flow.end is None:
        return "not ended"
    return f"result {err_name(flow.result)} ({flow.reason})"


def list_flows(args):
    rec = load(args)
    print(f"{'flow':>4}  {'user_data':<18}  slot  {'duration':>9}  runs  children  "
          "CQEs  spared  refused  result")
    for nr, flow in enumerate(rec.flows, 1):
        refused = sum(len(r.refused) for r in flow.runs)
        print(f"{nr:>4}  {flow.user_data:<#18x}  {flow.slot:>4}  "
              f"{duration(flow.last_time() - flow.first_time()):>9}  "
              f"{len(flow.runs):>4}  {len(flow.children):>8}  {flow.nr_posted():>4}  "
              f"{flow.nr_spared():>6}  {refused:>7}  " +
              (f"{err_name(flow.result)} ({flow.reason})" if flow.reason else "not ended"))
    if rec.nr_watched:
        print(f"{rec.nr_watched} runs of programs that watch")


def run_text(run, names):
    """One line about a run"""
    text = [f"{run.event:<8}"]
    if run.req:
        text.append(f"{names[run.req]} = {err_name(run.res)}")
        text.append("CQE posted" if run.posted else "CQE spared")
    if run.verdict != "DEFAULT":
        text.append(run.verdict)
    for kfunc, error in run.refused:
        text.append(f"{kfunc}() {err_name(error)}")
    if run.cancels:
        text.append("cancels children")
    if run.cqes:
        text.append(f"posts {count(run.cqes, 'CQE')}")
    if run.again:
        text.append("-> again")
    if run.issued:
        text.append("-> " + ", ".join(names[r] for r in run.issued))
    return "  ".join(text)


def show_flow(args):
    _, nr, flow = load_flow(args)
    names = {r: f"{i} {r}" for i, r in enumerate(flow.children, 1)}
    names[flow.pred] = f"before the flow: {flow.pred}"
    begin = flow.first_time()
    print(f"flow {nr}: user_data {flow.user_data:#x}, slot {flow.slot}, {flow.task}, "
          f"ring {flow.ring}")
    for run in flow.runs:
        print(f"{duration(run.time - begin):>10}  {run_text(run, names)}")
    for req in flow.children:
        if req.unseen:
            print(f"{duration(req.unseen[0] - begin):>10}  no run    {names[req]} = "
                  f"{err_name(req.unseen[1])}  CQE posted")
    if flow.end is not None:
        print(f"{duration(flow.end - begin):>10}  END       {outcome(flow)}  CQE " +
              ("posted" if flow.posted else "spared"))


# --- picture -----------------------------------------------------------------------

ROW, BAR, GAP = 22, 12, 18		# height of a row and a bar, least distance of runs
CHAR, SMALL = 6.7, 5.5			# width of a character
COLOURS = ("#8ecae6", "#ffd28f", "#b5d99c", "#d7b9e8", "#f4b6b0", "#c9c9c9", "#f0e68c",
           "#9fd8cb")
LETTERS = {"START": "S", "AUX": "A", "CANCEL": "X", "COMPLETE": ""}
STYLE = """
 text { font: 11px 'DejaVu Sans Mono', 'Liberation Mono', monospace; fill: #222;
        stroke: none }
 .title { font: bold 15px 'DejaVu Sans', 'Liberation Sans', sans-serif }
 .small { font-size: 9px; fill: #555 }
 .error { fill: #b00020 }
 .halo { stroke: #fff; stroke-width: 4px; stroke-linejoin: round }
 .grid { stroke: #ececec }
 .lane { fill: #f6f7f9 }
 .flow { fill: #cdd3dc }
 .before, .open { fill-opacity: 0.4; stroke: #777; stroke-dasharray: 3 2 }
 .run { fill: #1d3557 }
 .issue { stroke: #1d3557; stroke-width: 1.2px; fill: none }
 .arrow { fill: #1d3557 }
 .again { fill: #fff }
 .posted { fill: #0a7a33; stroke: #0a7a33 }
 .spared { fill: #fff; stroke: #c75000; stroke-width: 1.5px }
 .axis { stroke: #888 }
"""


class Svg:
    """Elements of a picture, in layers that are drawn one after the other"""

    LAYERS = ("back", "line", "bar", "mark", "text")

    def __init__(self):
        self.layers = {name: [] for name in self.LAYERS}

    def add(self, layer, tag, title=None, **attrs):
        text = "".join(f' {k.rstrip("_").replace("_", "-")}="{self.value(v)}"'
                       for k, v in attrs.items())
        body = f"><title>{html.escape(title)}</title></{tag}>" if title else "/>"
        self.layers[layer].append(f"<{tag}{text}{body}")

    @staticmethod
    def value(v):
        return f"{v:.1f}" if isinstance(v, float) else html.escape(str(v))

    def text(self, x, y, text, class_="", anchor="start"):
        self.layers["text"].append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{class_}" text-anchor="{anchor}">'
            f"{html.escape(text)}</text>")

    def label(self, x, y, text, class_=""):
        """A text that lines may cross"""
        self.text(x, y, text, "halo")
        self.text(x, y, text, class_)

    def cqe(self, x, y, posted, title):
        """A CQE by its shape and colour: a filled circle, or an open diamond"""
        if posted:
            self.add("mark", "circle", title, class_="cqe posted", cx=x, cy=y, r=4)
        else:
            self.add("mark", "path", title, class_="cqe spared",
                     d=f"M{x - 5:.1f},{y:.1f}l5,-5 5,5 -5,5z")

    def write(self, out, width, height):
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n'
                  '<!-- SPDX-License-Identifier: GPL-2.0 -->\n'
                  f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
                  f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">\n'
                  f"<style>{STYLE}</style>\n"
                  f'<rect width="100%" height="100%" fill="#fff"/>\n')
        for name in self.LAYERS:
            out.write("\n".join(self.layers[name]) + "\n")
        out.write("</svg>\n")


class Scale:
    """
    From times to positions. The scale is linear, but moments are at least GAP apart: what
    the program does within a microsecond would not be seen.
    """

    def __init__(self, moments, left, width):
        moments = sorted(moments, key=lambda m: m[0])
        self.begin, end = moments[0][0], moments[-1][0]
        self.points, self.by_key = [], {}
        factor = width / (end - self.begin) if end > self.begin else 0
        pos = left - GAP
        for when, key in moments:
            pos = max(pos + GAP, left + (when - self.begin) * factor)
            self.points.append((when, pos))
            self.by_key[key] = pos
        self.right = pos

    def __getitem__(self, key):
        return self.by_key[key]

    def at(self, when):
        """The position of any time"""
        before = self.points[0]
        for point in self.points[1:]:
            if point[0] >= when:
                span = point[0] - before[0]
                part = (when - before[0]) / span if span else 0
                return before[1] + part * (point[1] - before[1])
            before = point
        return before[1]

    def ticks(self):
        """Round times with room for a label each"""
        total = self.points[-1][0] - self.begin
        step = 1e-6
        while total / step > 12:
            step *= 2.5 if f"{step:e}"[0] == "2" else 2
        last = -1e9
        for i in range(int(total / step) + 1):
            pos = self.at(self.begin + i * step)
            if pos - last >= 62:
                yield i * step, pos
                last = pos


class Picture:
    """A flow as a picture: a lane for the program, one for each request, one for the CQ"""

    def __init__(self, rec, flow, first, last):
        self.flow, self.svg = flow, Svg()
        self.head = [f"Flow {flow.user_data:#x}, slot {flow.slot}, {outcome(flow)}"]
        release = rec.info[1] if rec.info[:1] == [HEADER] else ""
        refused = sum(len(r.refused) for r in flow.runs)
        self.head.append(
            f"{flow.task}{', Linux ' + release if release else ''}: "
            f"{count(len(flow.runs), 'run')}, {count(len(flow.children), 'request')} in "
            f"{duration(flow.last_time() - flow.first_time())}, "
            f"{count(flow.nr_posted(), 'CQE')} posted, {flow.nr_spared()} spared" +
            (f", {count(refused, 'call')} refused" if refused else ""))
        self.rows = ([flow.pred] if flow.pred else []) + flow.children[first - 1:last]
        self.names = {r: f"{i} {r}" for i, r in enumerate(flow.children, 1)}
        if flow.pred:
            self.names[flow.pred] = f"(before) {flow.pred}"
        self.hidden = len(flow.children) - len(flow.children[first - 1:last])
        self.runs = [r for r in flow.runs
                     if not r.req or r.req in self.rows or set(r.issued) & set(self.rows)]
        # the run that has called bpf_io_uring_complete()
        self.ending = None
        if flow.reason == "complete":
            self.ending = next((r for r in flow.runs if "ENDING" in r.flags), None)
        self.row_of = {r: i for i, r in enumerate(self.rows)}
        opcodes = dict.fromkeys(r.opcode for r in self.rows)
        self.colour = {op: COLOURS[i % len(COLOURS)] for i, op in enumerate(opcodes)}
        self.set_scale()

    def set_scale(self):
        flow = self.flow
        self.left = 24 + CHAR * max(
            [len(self.names[r]) for r in self.rows] + [len("program")])
        moments = [(flow.first_time(), "start")]
        moments += [(r.time, r) for r in self.runs]
        moments += [(r.unseen[0], r) for r in self.rows if r.unseen]
        moments.append((flow.last_time(), "end"))
        self.scale = Scale(moments, self.left, 640)
        self.top = 64
        self.bottom = self.top + ROW * (len(self.rows) + 2)
        labels = [CHAR * len(self.end_text(r.runs[-1])) for r in self.rows if r.runs]
        self.width = max(self.scale.right + 30 + max([CHAR * 11, *labels]), 760,
                         24 + CHAR * len(self.head[1]))

    def y(self, row):
        """The middle of a row; -1 is that of the program"""
        return self.top + ROW * (row + 1) + ROW / 2

    def end_text(self, run):
        return err_name(run.res) + (f" {run.verdict}" if run.verdict != "DEFAULT" else "")

    def draw_lanes(self):
        svg = self.svg
        for i in range(len(self.rows) + 2):
            if i % 2 == 0:
                svg.add("back", "rect", class_="lane", x=0, y=self.y(i - 1) - ROW / 2,
                        width=self.width, height=ROW)
        for run in self.runs:
            x = self.scale[run]
            svg.add("back", "line", class_="grid", x1=x, y1=self.top + ROW / 2, x2=x,
                    y2=self.bottom)
        svg.text(12, self.y(-1) + 4, "program")
        svg.text(12, self.y(len(self.rows)) + 4, "CQ")
        for i, req in enumerate(self.rows):
            svg.text(12, self.y(i) + 4, self.names[req])

    def draw_program(self):
        svg, flow, y = self.svg, self.flow, self.y(-1)
        svg.add("bar", "rect", class_="flow", x=self.scale["start"], y=y - 4,
                width=self.scale["end"] - self.scale["start"], height=8, rx=2)
        if flow.end is not None and not flow.posted:
            svg.cqe(self.scale["end"] + 9, y, False, "CQE of the flow")
        for nr, run in enumerate(self.runs, 1):
            x = self.scale[run]
            svg.add("mark", "rect", run_text(run, self.names), class_="run", x=x - 2.5,
                    y=y - 8, width=5, height=16, rx=1)
            svg.text(x, y - 11, LETTERS.get(run.event, "?") + "E" * (run is self.ending),
                     "small", "middle")
            if run.refused:
                svg.text(x, y - 20, "!", "error refused", "middle")
            self.draw_issues(run)

    def draw_issues(self, run):
        """A line from the completed request, or the program, to those that were issued"""
        x, y = self.scale[run], self.y(self.row_of.get(run.req, -1))
        ends = [self.y(self.row_of[r]) for r in run.issued if r in self.row_of]
        for end in {min(ends), max(ends)} if ends else ():
            self.svg.add("line", "path", class_="issue", d=f"M{x:.1f},{y:.1f}V{end:.1f}")
        for end in ends:
            self.svg.add("mark", "path", class_="arrow",
                         d=f"M{x:.1f},{end - 4:.1f}l6,4 -6,4z")

    def draw_request(self, i, req):
        svg, y = self.svg, self.y(i)
        start = self.scale[req.run] if req.run in self.scale.by_key else self.left
        last = [r for r in req.runs if r.event == "COMPLETE" and not r.again]
        if req.unseen:
            end = self.scale[req]
        else:
            end = self.scale[last[-1]] if last else self.scale["end"]
        svg.add("bar", "rect", self.names[req],
                class_="before" if req is self.flow.pred else
                "child" if req.done else "child open",
                x=start, y=y - BAR / 2, width=max(end - start, 2), height=BAR, rx=2,
                fill=self.colour[req.opcode])
        before = start + 10
        for run in req.runs:
            if not last or run is not last[-1]:
                self.draw_part(run, before, y)
                before = self.scale[run]
        self.draw_end(req, last[-1] if last else None, end, y)

    def draw_part(self, run, before, y):
        """A completion after which the request continues, and its result if that fits"""
        svg, x, text = self.svg, self.scale[run], self.end_text(run)
        if run.again:
            svg.add("bar", "rect", class_="again", x=x - 1.5, y=y - BAR / 2, width=3,
                    height=BAR)
            x -= 9
        svg.cqe(x, y, run.posted, run_text(run, self.names))
        if x - before > 14 + SMALL * len(text):
            svg.text(x - 7, y + 3.5, text, "small", "end")

    def draw_end(self, req, run, x, y):
        svg = self.svg
        if req.unseen:
            svg.cqe(x + 7, y, True, "no program has seen this completion")
            svg.label(x + 15, y + 4, err_name(req.unseen[1]))
        if not run:
            if not req.done:
                svg.label(x + 4, y + 4, "in flight")
            return
        svg.cqe(x + 9, y, run.posted, run_text(run, self.names))
        svg.label(x + 18, y + 4, self.end_text(run), "error" if run.res < 0 else "")

    def draw_cq(self):
        y = self.y(len(self.rows))
        for run in self.runs:
            x = self.scale[run]
            if run.posted:
                self.svg.cqe(x, y, True, run_text(run, self.names))
            for i in range(run.cqes):
                self.svg.cqe(x + 9 * (i + run.posted), y, True, "posted by the program")
        for req in self.rows:
            if req.unseen:
                self.svg.cqe(self.scale[req], y, True, self.names[req])
        if self.flow.posted:
            self.svg.cqe(self.scale["end"], y, True, f"of the flow: {outcome(self.flow)}")
            self.svg.label(self.scale["end"] + 9, y + 4, "of the flow")

    def draw_axis(self):
        y = self.bottom
        self.svg.add("line", "line", class_="axis", x1=self.left, y1=y,
                     x2=self.scale.right, y2=y)
        for when, x in self.scale.ticks():
            self.svg.add("line", "line", class_="axis", x1=x, y1=y, x2=x, y2=y + 4)
            self.svg.text(x, y + 16, duration(when), "small", "middle")
        return y + 32

    def draw_legend(self, y):
        svg, x = self.svg, 18.0
        svg.add("mark", "rect", class_="run key", x=x - 2, y=y - 12, width=5, height=16)
        x = self.key(x, y, "run (S start, A aux, X cancel, E calls complete())")
        svg.add("line", "path", class_="issue", d=f"M{x},{y - 14}v10")
        svg.add("mark", "path", class_="arrow key", d=f"M{x},{y - 8}l6,4 -6,4z")
        x = self.key(x, y, "issues")
        svg.add("mark", "circle", class_="posted", cx=x, cy=y - 4, r=4)
        x = self.key(x, y, "CQE posted")
        svg.add("mark", "path", class_="spared", d=f"M{x - 5},{y - 4}l5,-5 5,5 -5,5z")
        x = self.key(x, y, "CQE spared")
        if any(r.again for r in self.runs):
            svg.add("bar", "rect", x=x - 10, y=y - 10, width=20, height=BAR,
                    fill=COLOURS[0])
            svg.add("bar", "rect", class_="again key", x=x - 1.5, y=y - 10, width=3,
                    height=BAR)
            x = self.key(x + 4, y, "reissued")
        self.width = max(self.width, x)
        return y + 20

    def key(self, x, y, text):
        """The text behind a sign. Return where the next sign goes."""
        self.svg.text(x + 11, y, text)
        return x + 11 + CHAR * len(text) + 24

    def draw_notes(self, y):
        begin = self.flow.first_time()
        for run in self.runs:
            for kfunc, error in run.refused:
                self.svg.text(12, y, f"! {duration(run.time - begin)}: {kfunc}() returns "
                              f"-{err_name(error)}", "error refused")
                y += 16
        if self.hidden:
            self.svg.text(12, y, f"{self.hidden} more requests are not shown")
            y += 16
        return y

    def draw(self, out):
        self.svg.text(12, 22, self.head[0], "title")
        self.svg.text(12, 40, self.head[1])
        self.draw_lanes()
        self.draw_program()
        for i, req in enumerate(self.rows):
            self.draw_request(i, req)
        self.draw_cq()
        height = self.draw_notes(self.draw_legend(self.draw_axis()))
        self.svg.write(out, self.width, height)


def draw(args):
    rec, _, flow = load_flow(args)
    if not flow.runs:
        raise Error("no program has run for this flow")
    first, last = args.children
    if first > max(len(flow.children), 1):
        raise Error(f"the flow has issued {len(flow.children)} requests only")
    picture = Picture(rec, flow, first, last)
    if args.output == "-":
        picture.draw(sys.stdout)
        return
    with open(args.output, "w", encoding="utf-8") as out:
        picture.draw(out)


# --- command line ------------------------------------------------------------------


def child_range(text):
    m = re.fullmatch(r"(\d+)-(\d+)", text)
    if not m or not 1 <= int(m.group(1)) <= int(m.group(2)):
        raise argparse.ArgumentTypeError(f"{text!r} is no range such as 1-60")
    return int(m.group(1)), int(m.group(2))


def parse_args(argv):
    parser = argparse.ArgumentParser(
        prog="iou-flow",
        description="Record flows of io_uring's BPF programs, and draw them.")
    sub = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    p = sub.add_parser("record", help="record the tracepoints, as root")
    p.add_argument("-o", "--output", default="iou-flow.txt", metavar="FILE",
                   help="recording to write (%(default)s)")
    p.add_argument("-p", "--pid", type=int, help="record this process until ctrl-C")
    p.add_argument("-a", "--all", action="store_true",
                   help="record all processes, and the threads of the kernel")
    p.add_argument("-d", "--duration", type=float, metavar="SECONDS",
                   help="stop after this time, with -p or -a")
    p.add_argument("-b", "--buffer", type=int, default=4096, metavar="KB",
                   help="buffer for each CPU in KB (%(default)s)")
    p.add_argument("command", nargs="*", metavar="COMMAND", help="record this command")
    p.set_defaults(func=record)

    for name, func, text in (("list", list_flows, "list the flows of a recording"),
                             ("show", show_flow, "print the runs of a flow"),
                             ("draw", draw, "draw a flow as an SVG picture")):
        p = sub.add_parser(name, help=text)
        p.add_argument("file", metavar="FILE", help="recording, - for standard input")
        p.set_defaults(func=func)
        if name == "list":
            continue
        p.add_argument("-f", "--flow", type=int, metavar="NR",
                       help="number in the list, else the flow with the most runs")
        if name == "draw":
            p.add_argument("-o", "--output", default="flow.svg", metavar="FILE",
                           help="picture to write (%(default)s)")
            p.add_argument("-c", "--children", type=child_range, default=(1, 60),
                           metavar="FIRST-LAST", help="requests to draw (1-60)")
    return parser.parse_args(argv)


def main(argv):
    args = parse_args(argv)
    try:
        return args.func(args) or 0
    except Error as e:
        print(f"iou-flow: {e}", file=sys.stderr)
    except PermissionError as e:
        print(f"iou-flow: {e.filename}: {e.strerror}" +
              (", run as root" if os.geteuid() else ""), file=sys.stderr)
    except BrokenPipeError:
        # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as e:
        print(f"iou-flow: {e.filename or args.verb}: {e.strerror}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
