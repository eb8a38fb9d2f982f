"""The factorised entropy model on a device beside PyTorch: the plain module eager and compiled, and a pointwise form.

  python3 bench/gpu/entropy.py [--quick] [--cases 65536x512,...] [--peers eager,compile,pointwise|none]

Forward: noise (or rounding), likelihoods, values, bits a row and in total. Forward + backward: noise, bits, values, dx
and the 58 gradients a channel. Rates are G elements/s; the memory floor is 12 bytes an element (x read, two arrays
written) at the measured copy rate. Errors are ||out - ref|| / ||ref|| against float64 at the values that the call
returned; a case fails where ours is worse than twice that of the same formulas in PyTorch's float32, or where the
noise is not uniform in (-1/2, 1/2).
"""

import numpy

import bince
import factorized_torch
import measure

PEERS = ("eager", "compile", "pointwise")
TARGET_RATE = 25.0  # G elements/s, forward + backward
TARGET_FLOORS = 3.0  # forward at 65536 x 512


class Case:
    def __init__(
        self, rows, channels, backward=True, quantize=bince.QUANTIZE_NOISE, peers=("eager", "compile"), dtype="float32"
    ):
        self.rows, self.channels, self.backward, self.quantize = rows, channels, backward, quantize
        self.dtype = dtype
        self.bytes = 8 + (4 if dtype == "float32" else 2)  # an element
        self.elements = rows * channels
        self.peers = peers if quantize == bince.QUANTIZE_NOISE else ()
        kind = "forward + backward" if backward else "forward"
        self.name = f"{kind} {rows}x{channels}{', rounding' if quantize == bince.QUANTIZE_ROUND else ''}"
        if dtype != "float32":
            self.name += f", {dtype}"
        if "pointwise" in peers:
            self.name += ", beside a pointwise form"

    def target(self, copy_rate):
        """G elements/s, where the project has set a target."""
        if self.backward:
            return TARGET_RATE if self.dtype == "float32" else None
        floor = copy_rate / self.bytes
        return floor / TARGET_FLOORS if (self.rows, self.channels) == (65536, 512) else None


def cases(quick, simulated):
    if simulated:
        return [Case(37, 5), Case(9, 33, False), Case(20, 4, False, bince.QUANTIZE_ROUND), Case(9, 8, dtype="bfloat16")]
    both = [Case(65536, 512), Case(65536, 512, False)]
    if quick:
        return both
    # What matters most comes first: the time may run out, and compiling takes most of it.
    return both + [
        Case(4096, 512),
        Case(4096, 512, False),
        Case(262144, 512, peers=("eager",)),
        Case(65536, 128, peers=("eager",)),
        Case(65536, 512, False, bince.QUANTIZE_ROUND),
        Case(65536, 512, peers=(), dtype="bfloat16"),
        Case(4096, 128, peers=("eager",)),
        Case(262144, 512, False, peers=("eager",)),
        Case(262144, 128, peers=("eager",)),
        Case(16384, 192, peers=("eager",)),
        Case(65536, 512, False, peers=("pointwise",)),
        Case(65536, 512, peers=("pointwise",)),
    ]


def outputs_of(context, case):
    shape = (case.rows, case.channels)
    outputs = {"bits": context.empty((1,), "float64"), "values": context.empty(shape, "float32")}
    if case.backward:
        return outputs | {
            "dx": context.empty(shape, "float32"),
            "dparams": context.empty((58, case.channels), "float32"),
        }
    outputs["bits_per_row"] = context.empty((case.rows,), "float32")
    return outputs | {"likelihood": context.empty(shape, "float32")}


def prepare(context, case, inputs, outputs, seed=1):
    return bince.factorized(context, inputs, outputs, case.backward, case.quantize, seed)


def check_values(run, case, values, x, deviation):
    """Noise in (-1/2, 1/2) with the standard deviation of a uniform; rounding exact."""
    noise = values - x
    largest, spread = float(abs(noise).max()), float(noise.std())
    run.check(largest <= 0.5 + 2e-6, f"values: {largest} away from x")
    if case.quantize == bince.QUANTIZE_NOISE:
        run.check(abs(spread - 12**-0.5) < deviation, f"values: noise with a standard deviation of {spread}")


# --- without a device ------------------------------------------------------------------------------------------


def simulate(run, case):
    random = numpy.random.default_rng(3)
    x = (3 * random.standard_normal((case.rows, case.channels))).astype(numpy.float32)
    params = factorized_torch.initial_parameters(numpy, random, case.channels)
    if case.dtype == "bfloat16":
        bits = bince.to_bfloat16(x)
        x, uploaded = bince.from_bfloat16(bits), run.context.upload(bits, "bfloat16")
    else:
        uploaded = run.context.upload(x)
    inputs = {"x": uploaded, "params": run.context.upload(params)}
    outputs = outputs_of(run.context, case)
    call = prepare(run.context, case, inputs, outputs)
    for output in outputs.values():
        run.context.poison(output)
    start = measure.time.perf_counter()
    call.run()
    seconds = measure.time.perf_counter() - start
    found = {name: run.context.download(output) for name, output in outputs.items()}
    check_values(run, case, found["values"].astype(numpy.float64), x, 0.1)
    values, params64 = found["values"].astype(numpy.float64), params.astype(numpy.float64)

    def bits_of(v, p):
        return -numpy.log2(factorized_torch.likelihood(numpy, v, factorized_torch.layers_of(p)))

    bits = bits_of(values, params64)
    expected = {"bits": bits.sum(keepdims=True).reshape(1)}
    if case.backward:  # by differences: every x enters one bit count, every parameter those of its channel
        h = 1e-5
        expected["dx"] = (bits_of(values + h, params64) - bits_of(values - h, params64)) / (2 * h)
        expected["dparams"] = numpy.empty_like(params64)
        for row in range(len(params)):
            shift = numpy.zeros((len(params), 1))
            shift[row] = h
            difference = bits_of(values, params64 + shift) - bits_of(values, params64 - shift)
            expected["dparams"][row] = difference.sum(0) / (2 * h)
    else:
        expected |= {"likelihood": 2.0**-bits, "bits_per_row": bits.sum(1)}
    errors = {name: measure.relative_error_numpy(found[name], value) for name, value in expected.items()}
    for name, error in errors.items():
        run.check(error < 1e-4, f"{name}: error {error:.2e} against float64")
    return {"unit": "G elements/s", "ours": measure.summary([case.elements / seconds / 1e9]), "error": errors}


# --- on a device -----------------------------------------------------------------------------------------------


def model_calls(case, model, forward, sets):
    import torch

    def make(x):
        if not case.backward:

            def call():
                with torch.no_grad():
                    return forward(x)

            return call
        x = x.detach().requires_grad_()
        return lambda: torch.autograd.grad(forward(x)[2], [x] + model.parameters())

    return [make(x) for x in sets]


def torch_peer(case, name, params, sets, expected_bits):
    import torch

    kind = factorized_torch.PointwiseModel if name == "pointwise" else factorized_torch.FactorizedModel
    model = kind(torch, params)
    forward = model.forward
    if name != "eager":
        torch._dynamo.reset()
        forward = torch.compile(model.forward, dynamic=False)
    calls = model_calls(case, model, forward, sets)
    peer = {"name": name, "peakBytes": measure.peak_bytes(calls[0])}
    with torch.no_grad():  # other noise, so that only the size of the total can be compared
        peer["bitsRatio"] = (
            float(forward(sets[0])[2]) / expected_bits if case.quantize == bince.QUANTIZE_NOISE else None
        )
    return measure.Contender(name, calls), peer


def our_calls(run, case, params, sets):
    import torch

    outputs = outputs_of(run.context, case)
    inputs = {"params": params}
    if case.quantize == bince.QUANTIZE_ROUND:
        inputs["medians"] = torch.zeros(case.channels, device="cuda")
    calls = [prepare(run.context, case, inputs | {"x": x}, outputs) for x in sets]
    first = measure.run_twice(run, calls[0], outputs)
    return calls, first


def check_errors(run, case, found, params):
    """Errors of ours and of the same formulas in float32, against float64."""
    import torch

    exact = factorized_torch.reference(torch, found["values"], params, torch.float64)
    plain = factorized_torch.reference(torch, found["values"], params, torch.float32)
    names = [name for name in exact if name in found]
    ours = {name: measure.relative_error(found[name], exact[name]) for name in names}
    theirs = {name: measure.relative_error(plain[name], exact[name]) for name in names}
    for name in names:
        allowed = 2 * theirs[name] + 1e-6
        run.check(ours[name] <= allowed, f"{name}: error {ours[name]:.2e} against float64, allowed {allowed:.2e}")
    return ours, theirs, float(exact["bits"])


def measure_case(run, case):
    import torch

    count = measure.input_sets(4 * case.elements, run.machine["l2Bytes"])
    dtype = getattr(torch, case.dtype)
    sets = [(3 * torch.randn(case.rows, case.channels, device="cuda")).to(dtype) for _ in range(count)]
    start = factorized_torch.initial_parameters(numpy, numpy.random.default_rng(4), case.channels)
    params = run.context.upload(start)
    calls, found = our_calls(run, case, params, sets)
    check_values(run, case, found["values"].double(), sets[0].double(), 1e-2)
    errors, plain, bits = check_errors(run, case, found, params)
    del found
    contenders, peers = [measure.Contender("ours", [call.queue for call in calls])], []
    for name in case.peers:
        if name not in run.options.peers:
            continue
        try:
            contender, peer = torch_peer(case, name, params, sets, bits)
            contenders.append(contender)
        except Exception as error:  # a peer that fails must not cost our figures
            measure.log(f"{case.name}: {name}: {str(error)[:300]}")
            note = "out of memory" if measure.out_of_memory(error) else f"failed: {type(error).__name__}"
            peer = {"name": name, "note": note}
        peers.append(peer)
    measure.time_contenders(contenders, 0.2 if run.options.quick else 0.4)
    rate = lambda milliseconds: case.elements / milliseconds / 1e6
    rates = {
        each.name: measure.summary([rate(sample) for sample in each.samples]) for each in contenders if each.samples
    }
    row = {"unit": "G elements/s", "ours": rates["ours"], "error": errors, "errorFloat32": plain}
    milliseconds = case.elements / rates["ours"]["median"] / 1e6
    graph = measure.time_graph([call.queue for call in calls]) if milliseconds < 2 else None
    if graph:
        row["graph"] = {"median": rate(graph["median"]), "min": rate(graph["max"]), "max": rate(graph["min"])}
    calls[0].run()
    best = max(rates["ours"]["median"], row["graph"]["median"] if graph else 0)
    row |= {"ms": milliseconds, "workspaceBytes": calls[0].launch.workspace_bytes}
    row["timesFloor"] = run.machine["ceilings"]["copyGBs"] / case.bytes / best
    if case.target(run.machine["ceilings"]["copyGBs"]):
        row["target"] = case.target(run.machine["ceilings"]["copyGBs"])
    for peer in peers:
        if peer["name"] in rates:
            peer |= rates[peer["name"]]
            peer["ratio"] = rates["ours"]["median"] / peer["median"]
        else:
            peer.setdefault("note", "failed while it was timed")
    row["peers"] = peers
    return row


def main():
    run = measure.Run("entropy", __doc__.splitlines()[0], PEERS)
    for case in cases(run.options.quick, run.simulated):
        run.case(case.name, lambda: simulate(run, case) if run.simulated else measure_case(run, case))
    columns = [
        ("G elements/s", lambda row: row["ours"]["median"]),
        ("graph", lambda row: row.get("graph", {}).get("median")),
        ("target", lambda row: row.get("target")),
        ("ms", lambda row: row.get("ms")),
        ("x floor", lambda row: row.get("timesFloor")),
        ("error bits", lambda row: row["error"].get("bits")),
        ("dx", lambda row: row["error"].get("dx")),
        ("dparams", lambda row: row["error"].get("dparams")),
    ]
    for name in run.options.peers if not run.simulated else ():
        columns.append((name, lambda row, name=name: measure.peer_of(row, name)))
        columns.append(("ratio", lambda row, name=name: measure.peer_of(row, name, "ratio")))
    run.close(columns)


if __name__ == "__main__":
    main()
