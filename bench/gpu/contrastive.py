"""Fused InfoNCE on a device beside PyTorch eager, torch.compile and a plain Triton tile kernel.

  python3 bench/gpu/contrastive.py [--quick] [--cases 16384x512,...] [--peers eager,compile,triton|none]

The symmetric CLIP loss, forward + backward (loss, LSEs, dq, dk, dscale), for N = M rows of D dimensions; then the
forward alone, InfoNCE one way, and float32 inputs. TFLOP/s count 8NMD for forward + backward and 2NMD for the forward,
whatever a side does. Errors are ||out - ref|| / ||ref|| against the loss in float64: LSEs in full, gradients on a
sample of rows. A case fails where ours is worse than twice PyTorch's own error at the same precision, writes an
output incompletely, or gives other bits the second time.
"""

import math

import numpy

import bince
import measure

SCALE = 1 / 0.07
PEERS = ("eager", "compile", "triton")
# Without a peer's error to compare with: relative error allowed by precision.
ALLOWED = {"bfloat16": 1e-2, "tf32": 3e-3, "float32": 1e-5}
SAMPLE = 256
TARGET_TFLOPS = 300  # from 16384 x 512 up; 4096 x 512: within twice its floor


class Case:
    def __init__(self, N, D, precision="bfloat16", loss="clip", backward=True, peers=PEERS):
        self.N, self.D, self.precision, self.loss, self.backward = N, D, precision, loss, backward
        self.dtype = "bfloat16" if precision == "bfloat16" else "float32"
        self.symmetric = loss == "clip"
        self.peers = [name for name in peers if name != "triton" or (self.dtype == "bfloat16" and self.symmetric)]
        self.flops = (8 if backward else 2) * N * N * D
        kind = "forward + backward" if backward else "forward"
        self.name = f"{loss} {kind} {N}x{D} {precision}"

    def flags(self):
        return (bince.SYMMETRIC if self.symmetric else 0) | (bince.TF32 if self.precision == "tf32" else 0)

    def target(self):
        """Milliseconds, where the project has set a target."""
        if self.precision != "bfloat16" or not self.backward or self.loss != "clip":
            return None
        if (self.N, self.D) == (4096, 512):
            return 2 * self.flops / 800e9
        return self.flops / (TARGET_TFLOPS * 1e9) if self.N >= 16384 and self.D >= 512 else None


def cases(quick, simulated):
    if simulated:
        return [
            Case(40, 24),
            Case(150, 40),
            Case(33, 16, "float32"),
            Case(33, 16, "tf32"),
            Case(24, 16, "bfloat16", "infonce"),
            Case(24, 16, "bfloat16", "clip", False),
        ]
    clip = [Case(N, D) for N, D in ((16384, 512), (4096, 512), (65536, 512), (4096, 128), (16384, 128))]
    if quick:
        return clip[:2]
    # What matters most comes first: the time may run out, and compiling takes most of it.
    fewer = ("eager", "triton")
    return clip + [
        Case(16384, 512, backward=False),
        Case(16384, 512, loss="infonce"),
        Case(16384, 1024, peers=fewer),
        Case(16384, 512, "tf32", peers=fewer),
        Case(4096, 512, "float32", peers=fewer),
        Case(65536, 128, peers=fewer),
        Case(4096, 1024, peers=fewer),
        Case(65536, 1024, peers=fewer),
        Case(4096, 512, "tf32", peers=fewer),
    ]


def reference(xp, q, k, case, rows, chunk=1024):
    """The loss in float64 on numpy or torch arrays: {loss, row_lse, column_lse, dscale} and dq, dk of `rows`.

    Scores are at most SCALE for unit vectors, so that exp needs no maximum.
    """
    N = len(q)
    weights = (0.5, 0.5) if case.symmetric else (1.0, 0.0)
    row_sum, column_sum = [], 0
    for start in range(0, N, chunk):
        scores = xp.exp(SCALE * (q[start : start + chunk] @ k.T))
        row_sum.append(scores.sum(1))
        column_sum = column_sum + scores.sum(0)
    row_lse = xp.log(xp.concatenate(row_sum) if xp is numpy else xp.cat(row_sum))
    column_lse = xp.log(column_sum)
    diagonal = SCALE * (q * k).sum(1)
    loss = (weights[0] * (row_lse - diagonal) + weights[1] * (column_lse - diagonal)).mean()
    expected = {"loss": loss.reshape(1), "row_lse": row_lse}
    if case.symmetric:
        expected["column_lse"] = column_lse
    if not case.backward:
        return expected

    def gradient(own, others, own_lse, other_lse, own_weight, other_weight, chosen):
        """dL/dscores of the chosen rows of `own` against all `others`, times N."""
        scores = SCALE * (own[chosen] @ others.T)
        g = own_weight * xp.exp(scores - own_lse[chosen][:, None]) + other_weight * xp.exp(scores - other_lse[None, :])
        g[xp.arange(len(chosen)), xp.arange(N)[chosen]] -= 1
        return g, scores

    dscale = 0
    for start in range(0, N, chunk):
        g, scores = gradient(q, k, row_lse, column_lse, *weights, numpy.arange(start, min(start + chunk, N)))
        dscale = dscale + (g * scores).sum()
    expected["dscale"] = (dscale / (N * SCALE)).reshape(1)
    g, _ = gradient(q, k, row_lse, column_lse, *weights, rows)
    expected["dq"] = SCALE / N * (g @ k)
    g, _ = gradient(k, q, column_lse, row_lse, weights[1], weights[0], rows)
    expected["dk"] = SCALE / N * (g @ q)
    return expected


def results_of(context, case):
    """The outputs of a call, allocated."""
    shapes = {"loss": (1,), "row_lse": (case.N,)}
    if case.symmetric:
        shapes["column_lse"] = (case.N,)
    if case.backward:
        shapes |= {"dq": (case.N, case.D), "dk": (case.N, case.D), "dscale": (1,)}
    return {name: context.empty(shape, "float32") for name, shape in shapes.items()}


def prepare(context, case, q, k, results):
    kind = bince.FORWARD_BACKWARD if case.backward else bince.FORWARD
    return bince.contrastive(context, q, k, results, kind, SCALE, case.flags())


def errors_of(actual, expected, rows, relative_error):
    sampled = {name: value[rows] if name in ("dq", "dk") else value for name, value in actual.items()}
    return {name: relative_error(sampled[name], expected[name]) for name in expected if name in sampled}


def check_errors(run, case, ours, peer):
    """The rule of the tests: twice the error of the same precision done plainly."""
    for name in ("dq", "dk", "row_lse", "column_lse"):
        if name not in ours:
            continue
        plain = peer.get(name) if peer else None
        allowed = ALLOWED[case.precision] if plain is None else 2 * plain + 1e-6
        run.check(ours[name] <= allowed, f"{name}: error {ours[name]:.2e} against float64, allowed {allowed:.2e}")
    run.check(math.isfinite(sum(ours.values())), f"an output holds NaN or infinity: {ours}")


# --- without a device ------------------------------------------------------------------------------------------


def simulate(run, case):
    random = numpy.random.default_rng(1)
    q, k = (random.standard_normal((case.N, case.D)) for _ in range(2))
    q /= numpy.linalg.norm(q, axis=1, keepdims=True)
    k = q + k / numpy.linalg.norm(k, axis=1, keepdims=True)
    k /= numpy.linalg.norm(k, axis=1, keepdims=True)
    if case.dtype == "bfloat16":
        bits = [bince.to_bfloat16(values) for values in (q, k)]
        q64, k64 = (bince.from_bfloat16(values).astype(numpy.float64) for values in bits)
        uploaded = [run.context.upload(values, "bfloat16") for values in bits]
    else:
        uploaded = [run.context.upload(values.astype(numpy.float32)) for values in (q, k)]
        q64, k64 = (values.astype(numpy.float32).astype(numpy.float64) for values in (q, k))
    results = results_of(run.context, case)
    call = prepare(run.context, case, *uploaded, results)
    for output in results.values():
        run.context.poison(output)
    start = measure.time.perf_counter()
    call.run()
    milliseconds = 1e3 * (measure.time.perf_counter() - start)
    first = {name: run.context.download(output) for name, output in results.items()}
    call.run()
    for name, output in results.items():
        run.check((run.context.download(output) == first[name]).all(), f"{name}: other bits the second time")
    rows = numpy.arange(0, case.N, 3)
    expected = reference(numpy, q64, k64, case, rows)
    errors = errors_of(first, expected, rows, measure.relative_error_numpy)
    check_errors(run, case, errors, None)
    return {"unit": "ms", "ours": measure.summary([milliseconds]), "error": errors}


# --- on a device -----------------------------------------------------------------------------------------------


def make_inputs(case, sets):
    import torch
    from torch.nn.functional import normalize

    made = []
    for _ in range(sets):
        q = normalize(torch.randn(case.N, case.D, device="cuda"))
        k = normalize(q + normalize(torch.randn(case.N, case.D, device="cuda")))
        made.append(tuple(x.to(getattr(torch, case.dtype)).contiguous() for x in (q, k)))
    return made


def plain_loss(q, k, scale, symmetric):
    """The loss as PyTorch users write it: the score matrix in the dtype of q and k."""
    import torch
    from torch.nn.functional import cross_entropy

    scores = (scale * q) @ k.T
    target = torch.arange(len(q), device=q.device)
    loss = cross_entropy(scores, target)
    return (loss + cross_entropy(scores.T, target)) / 2 if symmetric else loss


def torch_calls(case, sets, function):
    """A call a set of inputs: forward, or forward and the gradients to q, k and the scale."""
    import torch

    scale = torch.tensor(SCALE, device="cuda", requires_grad=case.backward)

    def make(q, k):
        if not case.backward:

            def forward():
                with torch.no_grad():
                    return function(q, k, scale, case.symmetric)

            return forward
        q, k = q.detach().requires_grad_(), k.detach().requires_grad_()
        return lambda: torch.autograd.grad(function(q, k, scale, case.symmetric), (q, k, scale))

    return [make(q, k) for q, k in sets]


def torch_peer(run, case, sets, name, expected, rows):
    import torch

    if name == "compile":
        torch._dynamo.reset()
        function = torch.compile(plain_loss, dynamic=False)
    else:
        function = plain_loss
    calls = torch_calls(case, sets, function)
    values = calls[0]()
    if case.backward:
        errors = errors_of(dict(zip(("dq", "dk", "dscale"), values)), expected, rows, measure.relative_error)
    else:
        errors = {"loss": measure.relative_error(values.reshape(1), expected["loss"])}
    del values
    return measure.Contender(name, calls), {"name": name, "error": errors, "peakBytes": measure.peak_bytes(calls[0])}


def triton_peer(case, sets, expected, rows):
    from contrastive_triton import ClipLoss

    loss = ClipLoss(*sets[0], SCALE)
    method = loss.forward_backward if case.backward else loss.forward
    method(*sets[0])
    natural = [x * math.log(2) for x in loss.lse]
    found = {"row_lse": natural[0], "column_lse": natural[1]}
    if case.backward:
        found |= {"dq": loss.dq, "dk": loss.dk}
    errors = errors_of(found, expected, rows, measure.relative_error)
    note = f"tiles {loss.lse_tile}, {loss.gradient_tile}"
    calls = [lambda q=q, k=k: method(q, k) for q, k in sets]
    if max(errors.values()) > 5 * ALLOWED[case.precision]:
        raise RuntimeError(f"the Triton kernel is wrong here: {errors}")
    return measure.Contender("triton", calls), {
        "name": "triton", "error": errors, "peakBytes": loss.bytes(), "note": note
    }  # fmt: skip


def our_calls(run, case, sets):
    """One workspace and one set of outputs for all inputs; checks completeness and repeatability on the first."""
    import torch

    before = torch.cuda.memory_allocated()
    results = results_of(run.context, case)
    calls = [prepare(run.context, case, *sets[0], results)]
    taken = torch.cuda.memory_allocated() - before
    for q, k in sets[1:]:
        call = prepare(run.context, case, q, k, results)
        call.launch = calls[0].launch
        call.arguments[-1] = calls[0].arguments[-1]
        calls.append(call)
    first = measure.run_twice(run, calls[0], results)
    return calls, first, {"peakBytes": taken, "workspaceBytes": calls[0].launch.workspace_bytes}


def measure_case(run, case):
    import torch

    torch.backends.cuda.matmul.allow_tf32 = case.precision == "tf32"
    bytes_of_one = 2 * case.N * case.D * (2 if case.dtype == "bfloat16" else 4)
    sets = make_inputs(case, measure.input_sets(bytes_of_one, run.machine["l2Bytes"]))
    rows = numpy.sort(numpy.random.default_rng(2).choice(case.N, min(SAMPLE, case.N), replace=False))
    calls, actual, memory = our_calls(run, case, sets)
    expected = reference(torch, sets[0][0].double(), sets[0][1].double(), case, rows)
    errors = errors_of(actual, expected, rows, measure.relative_error)
    del actual
    contenders, peers = [measure.Contender("ours", [call.queue for call in calls])], []
    for name in case.peers:
        if name not in run.options.peers:
            continue
        try:
            if name == "triton":
                contender, peer = triton_peer(case, sets, expected, rows)
            else:
                contender, peer = torch_peer(run, case, sets, name, expected, rows)
            contenders.append(contender)
        except Exception as error:  # a peer that fails must not cost our figures
            measure.log(f"{case.name}: {name}: {str(error)[:300]}")
            note = "out of memory" if measure.out_of_memory(error) else f"failed: {type(error).__name__}"
            peer = {"name": name, "note": note}
        peers.append(peer)
    # A peer of the same precision sets what error is allowed; the Triton kernel's counts where PyTorch has no room.
    plain = next((peer["error"] for peer in peers if "error" in peer and "dq" in peer["error"]), None)
    measure.time_contenders(contenders, 0.2 if run.options.quick else 0.5)
    timed = {contender.name: measure.summary(contender.samples) for contender in contenders if contender.samples}
    row = {"unit": "ms", "ours": timed["ours"], "flops": case.flops, "error": errors, **memory}
    graph = measure.time_graph([call.queue for call in calls]) if timed["ours"]["median"] < 2 else None
    if graph:
        row["graph"] = graph
    calls[0].run()  # what the timed calls reported, and that nothing is broken by now
    best = min(timed["ours"]["median"], graph["median"]) if graph else timed["ours"]["median"]
    ceiling = run.machine["ceilings"][{"bfloat16": "bf16"}.get(case.precision, case.precision) + "Tflops"]
    row["tflops"] = case.flops / best / 1e9
    row["timesFloor"] = best * 1e9 * ceiling / case.flops
    for peer in peers:
        if peer["name"] in timed:
            peer |= timed[peer["name"]]
            peer["ratio"] = peer["median"] / timed["ours"]["median"]
            peer["tflops"] = case.flops / peer["median"] / 1e9
        else:
            peer.setdefault("note", "failed while it was timed")
    row["peers"] = peers
    if case.target():
        row["target"] = case.target()
    try:
        check_errors(run, case, errors, plain)
    except AssertionError as error:
        measure.log(f"{case.name}: times of the wrong result: {timed['ours']}")
        raise error
    return row


def error_of(row, name, output):
    return next((peer["error"].get(output) for peer in row["peers"] if peer["name"] == name and "error" in peer), None)


def main():
    run = measure.Run("contrastive", __doc__.splitlines()[0], PEERS)
    for case in cases(run.options.quick, run.simulated):
        run.case(case.name, lambda: simulate(run, case) if run.simulated else measure_case(run, case))
    megabytes = lambda value: value / 2**20 if isinstance(value, (int, float)) else value
    columns = [
        ("ms", lambda row: row["ours"]["median"]),
        ("graph", lambda row: row.get("graph", {}).get("median")),
        ("target", lambda row: row.get("target")),
        ("TFLOP/s", lambda row: row.get("tflops")),
        ("x floor", lambda row: row.get("timesFloor")),
        ("peak MB", lambda row: megabytes(row.get("peakBytes"))),
        ("error dq", lambda row: row["error"].get("dq")),
    ]
    for name in run.options.peers if not run.simulated else ():
        columns.append((f"{name} ms", lambda row, name=name: measure.peer_of(row, name)))
    if not run.simulated and "eager" in run.options.peers:
        columns.append(("eager MB", lambda row: megabytes(measure.peer_of(row, "eager", "peakBytes"))))
        columns.append(("eager error dq", lambda row: error_of(row, "eager", "dq")))
    run.close(columns)


if __name__ == "__main__":
    main()
