"""Timing on a device, ceilings, errors, tables and the results' file: what the benchmarks in this folder share.

PyTorch is imported only where a device is measured; with --simulated numpy is enough.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time

import numpy

import bince

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TURNS = 5


def log(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def summary(samples):
    ordered = sorted(samples)
    return {"median": ordered[len(ordered) // 2], "min": ordered[0], "max": ordered[-1]}


def relative_error(actual, expected):
    """||actual - expected|| / ||expected|| in float64; infinity where anything is NaN."""
    actual, expected = actual.double(), expected.double()
    error = float((actual - expected).norm() / expected.norm().clamp_min(1e-300))
    return error if numpy.isfinite(error) else float("inf")


def relative_error_numpy(actual, expected):
    error = float(numpy.linalg.norm(actual - expected) / max(numpy.linalg.norm(expected), 1e-300))
    return error if numpy.isfinite(error) else float("inf")


class Contender:
    """One side of a comparison: `calls`, one a set of inputs, each queueing the same work."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls
        self.samples, self.failed, self.batches = [], False, 0


def time_contenders(contenders, seconds=0.4):
    """Fills each contender's `samples` with milliseconds a call, in turns, by events around batches of calls.

    A batch goes once through the sets of inputs (and more often where a call is short), so that neither the caches
    nor the time to queue a single call is what is measured. `seconds`: for each contender, in all turns together.
    """
    import torch

    def batch(contender, rounds):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(rounds):
            for call in contender.calls:
                call()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) / (rounds * len(contender.calls))

    def try_batch(contender, rounds):
        """A batch; a peer that fails (no memory left, say) is out of the comparison, ours must not."""
        try:
            return batch(contender, rounds)
        except Exception as error:
            if contender is contenders[0]:
                raise
            log(f"{contender.name}: {str(error)[:200]}")
            contender.samples, contender.failed = [], True
            return float("inf")

    for contender in contenders:
        try_batch(contender, 1)  # compilation, caches of allocators
        once = float("inf") if contender.failed else min(try_batch(contender, 1) for _ in range(2))
        if contender.failed:
            continue
        # Batches of at least 2 ms, as many as fit the time, 3 a turn at least.
        sets = len(contender.calls)
        contender.rounds = max(1, int(2 / (once * sets) + 0.5))
        fitting = int(seconds * 1e3 / TURNS / (once * sets * contender.rounds))
        contender.batches = min(20, max(3 if once * sets < 300 else 1, fitting))
    for _ in range(TURNS):
        for contender in contenders:
            for _ in range(contender.batches):
                if not contender.failed:
                    sample = try_batch(contender, contender.rounds)
                    if not contender.failed:
                        contender.samples.append(sample)


def time_graph(calls, repeats=20):
    """Milliseconds a call when the calls are captured once and replayed: no time of the host in it. None where the
    work cannot be captured."""
    import torch

    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for call in calls:
                call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="relaxed"):
            for call in calls:
                call()
    except Exception as error:  # whatever a framework throws there, the direct timing stands
        torch.cuda.synchronize()
        log(f"no graph: {str(error).splitlines()[0][:150]}")
        return None
    timed = Contender("graph", [graph.replay])
    time_contenders([timed], 0.1)
    return {key: value / len(calls) for key, value in summary(timed.samples).items()}


def peak_bytes(call):
    """What one call takes beyond what was allocated before it, by PyTorch's allocator."""
    import torch

    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    kept = call()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - before
    del kept
    return peak


def out_of_memory(error):
    return "out of memory" in str(error).lower() or type(error).__name__ == "OutOfMemoryError"


def input_sets(bytes_of_one, l2_bytes, most=16):
    """How many sets of inputs to go through so that together they are three times the L2 cache."""
    return max(1, min(most, -(-3 * l2_bytes // max(bytes_of_one, 1))))


def run_twice(run, call, outputs):
    """Runs a call twice into poisoned outputs (torch tensors by name) and checks that both times every element was
    written, with the same bits.  Returns copies of the first results."""
    import torch

    for output in outputs.values():
        run.context.poison(output)
    call.run()
    first = {name: output.clone() for name, output in outputs.items()}
    call.run()
    for name, output in outputs.items():
        run.check(bool(torch.isfinite(output).all()), f"{name}: not every element was written")
        run.check(torch.equal(output, first[name]), f"{name}: other bits the second time")
    return first


def ceilings():
    """The device's two ceilings on random data: copies (bytes read and written) and matrix products."""
    import torch

    found = {}
    source = torch.randint(-128, 127, (2 << 30,), dtype=torch.int8, device="cuda")
    copy = torch.empty_like(source)
    timed = Contender("copy", [lambda: copy.copy_(source)])
    time_contenders([timed], 0.1)
    found["copyGBs"] = 2 * source.numel() / summary(timed.samples)["median"] / 1e6
    n = 8192
    for name, dtype, tf32 in (
        ("bf16", torch.bfloat16, False),
        ("tf32", torch.float32, True),
        ("float32", torch.float32, False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(n, n, device="cuda").to(dtype) for _ in range(2))
        timed = Contender(name, [lambda: a @ b])
        time_contenders([timed], 0.1)
        found[f"{name}Tflops"] = 2 * n**3 / summary(timed.samples)["median"] / 1e9
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.cuda.empty_cache()
    return found


def command_output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"


def describe_machine(library, simulated):
    info = library.cuda_info()
    cuda = lambda version: f"{version // 1000}.{version % 1000 // 10}"
    machine = {
        "date": datetime.date.today().isoformat(),
        "device": info.name.decode(),
        "simulated": simulated,
        "computeCapability": f"{info.compute_major}.{info.compute_minor}",
        "multiprocessors": info.multiprocessors,
        "memoryBytes": info.total_bytes,
        "l2Bytes": info.l2_bytes,
        "driver": command_output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or "none",
        "driverCuda": cuda(info.driver_version),
        "cuda": cuda(info.runtime_version),
        "cpu": cpu_model(),
        "processors": os.cpu_count(),
        "version": library.c.bince_version().decode(),
        "commit": os.environ.get("BINCE_COMMIT") or command_output("git", "rev-parse", "HEAD") or "unknown",
        "python": platform.python_version(),
    }
    for name in ("torch", "triton") if not simulated else ():
        try:
            machine[name] = __import__(name).__version__
        except ImportError:
            machine[name] = "none"
    return machine


def options(description, families_peers):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="few sizes, short timings")
    parser.add_argument(
        "--simulated", action="store_true", help="tiny sizes through libbince_cusim.so, without a device"
    )
    parser.add_argument("--cases", default="", metavar="TEXT,...", help="only cases whose names contain one of these")
    parser.add_argument("--peers", default=",".join(families_peers), help="of %(default)s; or none")
    parser.add_argument("--seconds", type=float, default=240, help="start no case after this time (%(default)s)")
    parser.add_argument(
        "--out", metavar="FOLDER", help="where the results go (bench/results; simulated: build-simulated)"
    )
    given = parser.parse_args()
    given.out = given.out or os.path.join(ROOT, *(("build-simulated",) if given.simulated else ("bench", "results")))
    given.peers = [] if given.peers == "none" else given.peers.split(",")
    unknown = [peer for peer in given.peers if peer not in families_peers]
    if unknown:
        parser.error(f"unknown peer {unknown[0]}; there are {', '.join(families_peers)}")
    given.cases = [text for text in given.cases.split(",") if text]
    return given


class Run:
    """One benchmark of a family: its machine, its cases and where they go."""

    def __init__(self, family, description, peers):
        self.family, self.started = family, time.monotonic()
        self.options = options(description, peers)
        self.simulated = self.options.simulated
        self.library = bince.Library()
        if not self.simulated:
            try:
                import torch
            except ImportError:
                raise SystemExit(
                    "error: this Python has no torch\nhint: name one that has in PYTHON, or use --simulated"
                ) from None
            if not torch.cuda.is_available():
                raise SystemExit("error: torch finds no CUDA device\nhint: --simulated needs none")
            torch.cuda.init()
        memory = "library" if self.simulated else "torch"
        try:
            self.context = bince.Context(self.library, "cuda", memory)
        except bince.BinceError as error:
            raise SystemExit(f"error: {error}") from None
        self.machine = describe_machine(self.library, self.simulated)
        self.rows, self.failures = [], 0
        if not self.simulated:
            self.machine["ceilings"] = ceilings()
            text = ", ".join(f"{name} {value:.0f}" for name, value in self.machine["ceilings"].items())
            print(f"{self.machine['device']}, driver {self.machine['driver']}, ceilings: {text}")

    def time_left(self):
        return self.options.seconds - (time.monotonic() - self.started)

    def wants(self, name):
        return not self.options.cases or any(text in name for text in self.options.cases)

    def case(self, name, measure):
        """Runs `measure()`, a row of the results or several with their own names, and keeps it; a failure is a row
        too and ends nothing."""
        if not self.wants(name):
            return
        if self.time_left() <= 0:
            log(f"{name}: left out, the time is up")
            self.rows.append({"case": name, "note": f"left out: {self.options.seconds:.0f} s were up"})
            return
        start = time.monotonic()
        try:
            found = measure()
            rows = found if isinstance(found, list) else [{"case": name, **found}]
        except Exception as error:
            self.failures += 1
            rows = [{"case": name, "failed": f"{type(error).__name__}: {str(error)[:600]}"}]
            log(f"{name}: FAILED {rows[0]['failed']}")
        else:
            log(f"{name}: {time.monotonic() - start:.1f} s")
        self.rows += rows
        self.release()
        self.write()

    def check(self, condition, text):
        """A fact that a case's figures need; what does not hold is raised and fails the case."""
        if not condition:
            raise AssertionError(text)

    def release(self):
        if not self.simulated:
            import gc

            import torch

            gc.collect()
            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def write(self):
        device = "-".join(part for part in self.machine["device"].lower().replace("/", " ").split() if part)
        # The device's name in few words: "nvidia h100 80gb hbm3" is h100-80gb-hbm3.
        device = device.removeprefix("nvidia-")
        self.file = os.path.join(self.options.out, f"{self.machine['date']}-{device}-{self.family}.json")
        os.makedirs(self.options.out, exist_ok=True)
        partial = f"{self.file}.tmp"
        with open(partial, "w", encoding="utf-8") as out:
            json.dump(
                {"machine": self.machine, "quick": self.options.quick, "results": {self.family: self.rows}},
                out,
                indent=1,
            )
            out.write("\n")
        os.replace(partial, self.file)

    def close(self, columns):
        """Prints the table, one line a case: columns are (title, function of a row); exits 1 if a case failed."""
        self.write()
        table = [["case"] + [title for title, _ in columns]]
        for row in self.rows:
            if "failed" in row or "ours" not in row:
                table.append([row["case"], "FAILED" if "failed" in row else "-"] + [""] * (len(columns) - 1))
            else:
                table.append([row["case"]] + [text(function(row)) for _, function in columns])
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        for line in table:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        for row in self.rows:
            for key in ("failed", "note"):
                if row.get(key):
                    print(f"  {row['case']}: {row[key]}")
        measured = sum("ours" in row for row in self.rows)
        left_out = len(self.rows) - measured - self.failures
        print(self.file)
        print(f"{measured} passed, {self.failures} failed, {left_out} skipped")
        sys.exit(1 if self.failures or not measured else 0)


def text(value):
    if value is None:
        return "-"
    if not isinstance(value, (int, float)):
        return str(value)
    if value and (abs(value) < 1e-2 or abs(value) >= 1e6):
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def peer_of(row, name, key="median"):
    """A figure of a peer in a row, or its note ("out of memory"), or None."""
    for peer in row.get("peers", []):
        if peer["name"] == name:
            return peer.get(key, peer.get("note", "-"))
    return None
