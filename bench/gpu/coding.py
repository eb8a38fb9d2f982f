"""Range coding of blocks on a device: float32 latents to the sections of a .bince file and back.

  python3 bench/gpu/coding.py [--quick] [--cases 65536x512,...] [--peers cpu|none]

Rates are G symbols/s (4 GB of latents a G symbol) on the device (`device`) and from and to pinned host memory with the
copies overlapped (`host`). Beside the first stands the way that PyTorch programs take, a copy to the host and our CPU
coder with all its threads; beside the second the CPU coder alone. The floor of `device` is 4 bytes a symbol and the
coded bytes at the measured copy rate; that of `host` the latents at the rate of the bus. A case fails where a byte
differs from the CPU's, where a value does not come back as its rounding, or where a damaged block passes.
"""

import math

import numpy

import bince
import measure

PEERS = ("cpu",)
# G symbols/s on the device at 65536 x 512, and microseconds to decode 4096 x 512.
TARGETS = {"encode": 120.0, "decode": 250.0}
TARGET_SMALL = 50.0
CHUNK_ROWS = 16384  # of the overlapped copies


class Case:
    def __init__(self, rows, channels, block_rows):
        self.rows, self.channels, self.block_rows = rows, channels, block_rows
        self.symbols = rows * channels
        self.name = f"{rows}x{channels}, blocks of {block_rows}"

    def target(self, direction):
        if (self.rows, self.channels) == (65536, 512):
            return TARGETS[direction]
        if (self.rows, self.channels, direction) == (4096, 512, "decode"):
            return self.symbols / TARGET_SMALL / 1e3
        return None


def cases(quick, simulated):
    if simulated:
        return [Case(70, 5, 32), Case(33, 40, 64)]
    first = [Case(65536, 512, 64), Case(4096, 512, 32)]
    others = [Case(1 << 20, 512, 128), *(Case(65536, 512, block_rows) for block_rows in (128, 32, 1024))]
    return first if quick else first + others


def deviations_of(channels):
    """From 0.9 to 1.7: 1.9 to 2.8 bits a symbol, alphabets of 12 to 20 entries."""
    return numpy.linspace(0.9, 1.7, channels)


def tables_of(deviations):
    """For a normal distribution a channel: rising integers from 0 to 65536, the last entry the escape; and offsets."""
    cdfs, offsets = [], []
    for deviation in deviations:
        radius = math.ceil(5 * deviation)
        edges = [0.5 * math.erfc(-(n - 0.5) / deviation / math.sqrt(2)) for n in range(-radius, radius + 2)]
        counts = numpy.maximum(1, numpy.round(numpy.diff(edges) * 65536)).astype(numpy.int64)
        counts = numpy.append(counts, 1)
        counts[numpy.argmax(counts)] += 65536 - counts.sum()
        cdfs.append(numpy.append(0, numpy.cumsum(counts)).astype(numpy.int32))
        offsets.append(-radius)
    return cdfs, numpy.array(offsets, dtype=numpy.int32)


class Buffers:
    """Where one side's encoder writes: a byte a symbol is ample."""

    def __init__(self, context, coder, rows, channels):
        self.sections = context.empty((rows * channels + 4096,), "uint8")
        self.section_bytes = context.empty((coder.blocks(rows),), "int64")
        self.total, self.ideal_bits = context.empty((1,), "int64"), context.empty((1,), "float64")


def encode_once(context, coder, rows, channels, latents):
    """Encodes into poisoned buffers; the call, the buffers, and how many bytes came out."""
    buffers = Buffers(context, coder, rows, channels)
    for output in (buffers.sections, buffers.section_bytes, buffers.total, buffers.ideal_bits):
        context.poison(output)
    places = (buffers.sections, buffers.section_bytes, buffers.total, buffers.ideal_bits)
    call = coder.encode(latents, 0, *places)
    call.run()
    return call, buffers, int(context.download(buffers.total)[0])


def check_damage(run, context, decode, sections, flip):
    """A flipped bit in the middle must be noticed."""
    flip()
    try:
        decode.run()
    except bince.BinceError as error:
        run.check(error.status == bince.CORRUPT_DATA, f"a damaged block is reported as: {error}")
    else:
        run.check(False, "a damaged block decodes without a word")
    flip()


# --- without a device ------------------------------------------------------------------------------------------


def simulate(run, case):
    deviations = deviations_of(case.channels)
    random = numpy.random.default_rng(5)
    values = (random.standard_normal((case.rows, case.channels)) * deviations).astype(numpy.float32)
    values[3, 2] = 1e4  # escapes
    cdfs, offsets = tables_of(deviations)
    coded = {}
    for context in (bince.Context(run.library, "ref", threads=1), run.context):
        coder = bince.BlockCoder(context, cdfs, offsets, case.block_rows)
        start = measure.time.perf_counter()
        _, buffers, total = encode_once(context, coder, case.rows, case.channels, context.upload(values))
        seconds = measure.time.perf_counter() - start
        found = [context.download(buffers.sections)[:total], context.download(buffers.section_bytes)]
        coded[context.backend] = found + [context.download(buffers.ideal_bits)]
        rows = context.empty(values.shape, "float32")
        context.poison(rows)
        decode = coder.decode(bince.part(buffers.sections, 0, total), buffers.section_bytes, 0, rows)
        decode.run()
        run.check((context.download(rows) == numpy.rint(values)).all(), f"{context.backend}: other values came back")
    for ours, cpu in zip(coded[run.context.backend], coded["ref"]):
        run.check(ours.shape == cpu.shape and (ours == cpu).all(), "the bytes differ from the CPU's")
    damaged = coded["ref"][0].copy()
    damaged[len(damaged) // 2] ^= 1
    sections = run.context.upload(damaged)
    check_damage(run, run.context, coder.decode(sections, buffers.section_bytes, 0, rows), sections, lambda: None)
    return {"unit": "G symbols/s", "ours": measure.summary([case.symbols / seconds / 1e9]), "bytes": int(total)}


# --- on a device -----------------------------------------------------------------------------------------------


def bus_rates():
    """GB/s of pinned memory to the device and back."""
    import torch

    host = torch.randint(0, 255, (1 << 29,), dtype=torch.uint8, pin_memory=True)
    device = torch.empty_like(host, device="cuda")
    rates = {}
    for name, copy in (
        ("toDeviceGBs", lambda: device.copy_(host, non_blocking=True)),
        ("toHostGBs", lambda: host.copy_(device, non_blocking=True)),
    ):
        timed = measure.Contender(name, [copy])
        measure.time_contenders([timed], 0.1)
        rates[name] = host.numel() / measure.summary(timed.samples)["median"] / 1e6
    return rates


def wall_times(calls, turns=5):
    """Seconds of each of {name: call}, in turns, by the host's clock around work that ends on the host."""
    import torch

    samples = {name: [] for name in calls}
    for turn in range(turns + 1):
        for name, call in calls.items():
            torch.cuda.synchronize()
            start = measure.time.perf_counter()
            call()
            torch.cuda.synchronize()
            if turn:  # the first is the warm-up
                samples[name].append(measure.time.perf_counter() - start)
    return samples


def on_host(tensor):
    """A host tensor of PyTorch as an Array."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return bince.Array(tensor.data_ptr(), tuple(tensor.shape), dtype, bince.CPU, tensor)


class CpuSide:
    """The CPU coder on pinned host memory."""

    def __init__(self, run, case, cdfs, offsets, latents):
        import torch

        self.context = bince.Context(run.library, run.library.c.bince_available_backends().decode().split(",")[0])
        self.coder = bince.BlockCoder(self.context, cdfs, offsets, case.block_rows)
        self.latents = latents.cpu().pin_memory()
        self.back = torch.empty_like(self.latents).pin_memory()
        self.encode, self.buffers, self.total = encode_once(
            self.context, self.coder, case.rows, case.channels, on_host(self.latents)
        )
        sections = bince.part(self.buffers.sections, 0, self.total)
        self.decode = self.coder.decode(sections, self.buffers.section_bytes, 0, on_host(self.back))


class DeviceSide:
    def __init__(self, run, case, cdfs, offsets, latents):
        self.context, self.latents = run.context, latents
        self.coder = bince.BlockCoder(run.context, cdfs, offsets, case.block_rows)
        self.encode, self.buffers, self.total = encode_once(run.context, self.coder, case.rows, case.channels, latents)
        self.sections = bince.part(self.buffers.sections, 0, self.total)
        self.rows = run.context.empty(latents.shape, "float32")
        run.context.poison(self.rows)
        self.decode = self.coder.decode(self.sections, self.buffers.section_bytes, 0, self.rows)
        self.decode.run()

    def check(self, run, cpu):
        import torch

        run.check(self.total == cpu.total, f"{self.total} bytes, {cpu.total} on the CPU")
        theirs = torch.from_numpy(cpu.buffers.sections.owner[: cpu.total])
        run.check(torch.equal(self.sections.cpu(), theirs), "the bytes differ from the CPU's")
        sizes = torch.from_numpy(cpu.buffers.section_bytes.owner)
        run.check(torch.equal(self.buffers.section_bytes.cpu(), sizes), "the sizes differ from the CPU's")
        run.check(torch.equal(self.rows, self.latents.round()), "other values came back")

        def flip():
            self.sections[self.total // 2] ^= 1

        check_damage(run, self.context, self.decode, self.sections, flip)
        self.encode.run()
        run.check(torch.equal(self.sections.cpu(), theirs), "other bytes the second time")


class Overlapped:
    """Host to host: chunks of rows on two streams, each with its own buffers, copies beside coding."""

    def __init__(self, run, case, side, cpu):
        import torch

        self.rows = min(CHUNK_ROWS, case.rows)
        self.chunks = -(-case.rows // self.rows)
        self.streams = [torch.cuda.Stream() for _ in range(2)]
        self.latents, self.back = cpu.latents, cpu.back
        shape = (self.rows, case.channels)
        self.slots = [run.context.empty(shape, "float32") for _ in range(2)]
        self.buffers = [Buffers(run.context, side.coder, *shape) for _ in range(2)]
        self.totals = torch.zeros(self.chunks, dtype=torch.int64).pin_memory()
        self.sections = torch.empty(cpu.total, dtype=torch.uint8).pin_memory()
        self.coded = torch.from_numpy(cpu.buffers.sections.owner[: cpu.total]).pin_memory()
        sizes = torch.from_numpy(cpu.buffers.section_bytes.owner)
        blocks = self.rows // case.block_rows
        self.sizes, self.blocks = sizes.pin_memory(), blocks
        self.ends = [0] + numpy.cumsum([int(chunk.sum()) for chunk in sizes.split(blocks)]).tolist()
        self.encodes, self.decodes = [], []
        for i in range(self.chunks):
            slot, buffers, first = self.slots[i % 2], self.buffers[i % 2], i * blocks
            rows = bince.part(slot, 0, self.rows_of(i))
            places = (
                buffers.sections,
                bince.part(buffers.section_bytes, 0, side.coder.blocks(len(rows))),
                buffers.total,
            )
            self.encodes.append(side.coder.encode(rows, first, *places))
            own = bince.part(buffers.sections, 0, self.ends[i + 1] - self.ends[i])
            self.decodes.append(side.coder.decode(own, places[1], first, rows))

    def rows_of(self, chunk):
        return min(self.rows, len(self.latents) - chunk * self.rows)

    def encode(self):
        import torch

        done, place = [torch.cuda.Event() for _ in range(self.chunks)], 0
        for i in range(self.chunks + 1):
            if i < self.chunks:
                with torch.cuda.stream(self.streams[i % 2]):
                    rows = self.latents[i * self.rows : i * self.rows + self.rows_of(i)]
                    self.slots[i % 2][: len(rows)].copy_(rows, non_blocking=True)
                    self.encodes[i].queue()
                    self.totals[i : i + 1].copy_(self.buffers[i % 2].total, non_blocking=True)
                    done[i].record()
            if i > 0:  # the one before: its size is known by now, or soon
                done[i - 1].synchronize()
                size = int(self.totals[i - 1])
                with torch.cuda.stream(self.streams[(i - 1) % 2]):
                    source = self.buffers[(i - 1) % 2].sections[:size]
                    self.sections[place : place + size].copy_(source, non_blocking=True)
                place += size
        torch.cuda.synchronize()

    def decode(self):
        import torch

        for i in range(self.chunks):
            with torch.cuda.stream(self.streams[i % 2]):
                buffers, first = self.buffers[i % 2], i * self.blocks
                coded = self.coded[self.ends[i] : self.ends[i + 1]]
                buffers.sections[: len(coded)].copy_(coded, non_blocking=True)
                sizes = self.sizes[first : first + self.blocks]
                buffers.section_bytes[: len(sizes)].copy_(sizes, non_blocking=True)
                self.decodes[i].queue()
                count = self.rows_of(i)
                self.back[i * self.rows : i * self.rows + count].copy_(self.slots[i % 2][:count], non_blocking=True)
        torch.cuda.synchronize()

    def check(self, run):
        import torch

        self.encode()
        run.check(torch.equal(self.sections, self.coded), "host to host: the bytes differ from the CPU's")
        self.back.fill_(float("nan"))
        self.decode()
        run.check(torch.equal(self.back, self.latents.round()), "host to host: other values came back")


def rate_summary(case, seconds):
    return measure.summary([case.symbols / each / 1e9 for each in seconds])


def device_row(run, case, direction, side, cpu):
    """On the device, beside a copy to or from the host and the CPU coder."""
    import torch

    call = getattr(side, direction)
    timed = measure.Contender("ours", [call.queue])
    measure.time_contenders([timed], 0.3)
    call.run()
    row = {"unit": "G symbols/s", "ours": rate_summary(case, [sample / 1e3 for sample in timed.samples])}
    milliseconds = case.symbols / row["ours"]["median"] / 1e6
    graph = measure.time_graph([call.queue]) if milliseconds < 2 else None
    if graph:
        row["graph"] = rate_summary(case, [graph[key] / 1e3 for key in ("min", "median", "max")])
    best = max(row["ours"]["median"], row["graph"]["median"] if graph else 0)
    bytes_moved = 4 * case.symbols + side.total
    row |= {"ms": milliseconds, "latentsGBs": 4 * best, "workspaceBytes": call.launch.workspace_bytes}
    row["timesFloor"] = run.machine["ceilings"]["copyGBs"] * case.symbols / bytes_moved / best
    row |= sizes_of(case, side)
    if "cpu" in run.options.peers:

        def copy_and_encode():
            cpu.latents.copy_(side.latents)
            cpu.encode.queue()

        def decode_and_copy():
            cpu.decode.queue()
            side.rows.copy_(cpu.back)

        name = "PyTorch's copy and the CPU coder"
        seconds = wall_times({name: copy_and_encode if direction == "encode" else decode_and_copy}, 3)[name]
        row["peers"] = [peer_row(case, row, name, seconds, cpu)]
    if case.target(direction):
        row["target"] = case.target(direction)
    torch.cuda.synchronize()
    return row


def host_row(run, case, direction, side, cpu, overlapped):
    calls = {"ours": getattr(overlapped, direction), "cpu": getattr(cpu, direction).queue}
    seconds = wall_times(calls if "cpu" in run.options.peers else {"ours": calls["ours"]})
    row = {"unit": "G symbols/s", "ours": rate_summary(case, seconds["ours"])} | sizes_of(case, side)
    bus = run.machine["ceilings"]["toDeviceGBs" if direction == "encode" else "toHostGBs"]
    row["ms"] = case.symbols / row["ours"]["median"] / 1e6
    row["latentsGBs"] = 4 * row["ours"]["median"]
    row["timesFloor"] = bus / row["latentsGBs"]
    if "cpu" in seconds:
        row["peers"] = [peer_row(case, row, "the CPU coder", seconds["cpu"], cpu)]
    return row


def peer_row(case, row, name, seconds, cpu):
    peer = {
        "name": name,
        **rate_summary(case, seconds),
        "threads": cpu.context.threads(),
        "backend": cpu.context.backend,
    }
    return peer | {"ratio": row["ours"]["median"] / peer["median"]}


def sizes_of(case, side):
    bits, ideal = 8 * side.total / case.symbols, float(side.buffers.ideal_bits[0]) / case.symbols
    return {"bitsASymbol": bits, "idealBitsASymbol": ideal}


def measure_case(run, case):
    """Four rows: encode and decode, on the device and host to host."""
    import torch

    deviations = deviations_of(case.channels)
    scale = torch.from_numpy(deviations.astype(numpy.float32)).cuda()
    latents = torch.randn(case.rows, case.channels, device="cuda") * scale
    cdfs, offsets = tables_of(deviations)
    cpu = CpuSide(run, case, cdfs, offsets, latents)
    side = DeviceSide(run, case, cdfs, offsets, latents)
    side.check(run, cpu)
    overlapped = Overlapped(run, case, side, cpu)
    overlapped.check(run)
    rows = []
    for direction in ("encode", "decode"):
        rows.append({"case": f"{direction} device {case.name}", **device_row(run, case, direction, side, cpu)})
    for direction in ("encode", "decode"):
        rows.append({"case": f"{direction} host {case.name}", **host_row(run, case, direction, side, cpu, overlapped)})
    return rows


def main():
    run = measure.Run("coding", __doc__.splitlines()[0], PEERS)
    if not run.simulated:
        run.machine["ceilings"] |= bus_rates()
    for case in cases(run.options.quick, run.simulated):
        run.case(case.name, lambda: simulate(run, case) if run.simulated else measure_case(run, case))
    columns = [
        ("G symbols/s", lambda row: row["ours"]["median"]),
        ("graph", lambda row: row.get("graph", {}).get("median")),
        ("target", lambda row: row.get("target")),
        ("ms", lambda row: row.get("ms")),
        ("GB/s of latents", lambda row: row.get("latentsGBs")),
        ("x floor", lambda row: row.get("timesFloor")),
        ("bits/symbol", lambda row: row.get("bitsASymbol")),
        ("CPU", lambda row: row["peers"][0]["median"] if row.get("peers") else None),
        ("ratio", lambda row: row["peers"][0]["ratio"] if row.get("peers") else None),
    ]
    run.close(columns)


if __name__ == "__main__":
    main()
