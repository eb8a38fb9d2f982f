"""Puts measurements of a device into the families' READMEs.

  python3 bench/gpu/tables.py bench/results/DATE-DEVICE-contrastive.json ...

A README keeps its table between the lines `<!-- device figures -->` and `<!-- end of device figures -->`; what stands
there is replaced. One without these lines gets a section at its end. Results of a simulated run are refused.
"""

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FIRST, LAST = "<!-- device figures -->", "<!-- end of device figures -->"

ERRORS = ("row_lse", "dq", "likelihood", "dx", "dparams")  # that a table shows; the file has all


def number(value):
    if value is None:
        return "-"
    if not isinstance(value, (int, float)):
        return str(value)
    if value and abs(value) < 1e-2:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def range_of(side):
    return f"{number(side['median'])} ({number(side['min'])}-{number(side['max'])})" if side else "-"


def lines_of(rows):
    """A Markdown table: the case, ours, the target, times the floor, errors, and every peer with its ratio."""
    names = list(dict.fromkeys(peer["name"] for row in rows for peer in row.get("peers", [])))
    titles = [
        "case",
        "unit",
        "ours (least-most)",
        "in a graph",
        "target",
        "x floor",
        "TFLOP/s or GB/s",
        "error",
    ] + names
    table = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in rows:
        if "ours" not in row:
            table.append(
                f"| {row['case']} |" + f" {row.get('failed', row.get('note', '-'))} |" + " |" * (len(titles) - 2)
            )
            continue
        errors = ", ".join(f"{name} {number(row['error'][name])}" for name in ERRORS if name in row.get("error", {}))
        cells = [row["case"], row["unit"], range_of(row["ours"]), number(row.get("graph", {}).get("median"))]
        cells += [number(row.get("target")), number(row.get("timesFloor"))]
        cells += [number(row.get("tflops", row.get("latentsGBs"))), errors or "-"]
        for name in names:
            peer = next((each for each in row.get("peers", []) if each["name"] == name), None)
            if peer is None:
                cells.append("-")
            elif "median" in peer:
                cells.append(f"{number(peer['median'])}: {number(peer['ratio'])} x")
            else:
                cells.append(peer.get("note", "-"))
        table.append("| " + " | ".join(cells) + " |")
    return table


def caption(machine):
    ceilings = machine.get("ceilings", {})
    copy, product = ceilings.get("copyGBs"), ceilings.get("bf16Tflops")
    measured = (
        f" Measured in the same run: copies {number(copy)} GB/s, bf16 products {number(product)} TFLOP/s."
        if copy
        else ""
    )
    return (
        f"{machine['device']}, driver {machine['driver']}, CUDA {machine['cuda']}, "
        f"PyTorch {machine.get('torch', 'none')}, {machine['date']}, commit {machine['commit'][:10]}.{measured}"
    )


def main(files):
    if not files or "--help" in files:
        print(__doc__.strip())
        return 2
    for file in files:
        with open(file, encoding="utf-8") as source:
            found = json.load(source)
        if found["machine"].get("simulated"):
            raise SystemExit(f"error: {file} is of a simulated run: it holds no figures of a device")
        for family, rows in found["results"].items():
            path = os.path.join(ROOT, "native", family, "README.md")
            with open(path, encoding="utf-8") as source:
                readme = source.read()
            if FIRST not in readme:
                readme += f"\n## Measured on a device\n{FIRST}\n{LAST}\n"
            if readme.count(FIRST) != 1 or readme.count(LAST) != 1:
                raise SystemExit(f"error: {path}: expected one '{FIRST}' and one '{LAST}'")
            before, rest = readme.split(FIRST)
            after = rest.split(LAST)[1]
            middle = "\n".join([FIRST, caption(found["machine"]), ""] + lines_of(rows) + [LAST])
            with open(path, "w", encoding="utf-8") as out:
                out.write(before + middle + after)
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
