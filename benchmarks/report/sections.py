"""A section of docs/benchmarks.md for each kind of result: what was asked, the tables, a plot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flare_trt.benchmarks.against.ratios import ratio_table
from flare_trt.benchmarks.base.result_file import Result
from flare_trt.benchmarks.gpu_plan.gpu_tables import gpu_tables
from flare_trt.benchmarks.gpu_plan.roofline import roofline_stage_table, total_table
from flare_trt.benchmarks.kernels.floor_cli import floor_table
from flare_trt.benchmarks.kernels.kernels_cli import kernel_table
from flare_trt.benchmarks.peers.peers_report import peer_table, ratio_lines, stage_table
from flare_trt.benchmarks.peers.roster import EXACT, NNUNET, NOT_COMPARED
from flare_trt.benchmarks.report.result_plots import draw_comparison, draw_scaling
from flare_trt.benchmarks.studies.budget_cli import budget_table
from flare_trt.benchmarks.studies.cascade_cli import cascade_table
from flare_trt.benchmarks.studies.export_cli import real_size_table
from flare_trt.benchmarks.studies.half_cli import half_table
from flare_trt.benchmarks.studies.scaling_cli import exponent_line, series_table
from flare_trt.benchmarks.studies.speed_cli import speed_table
from flare_trt.benchmarks.studies.tricks_cli import tricks_table
from flare_trt.engine.base.text_tables import markdown_table


@dataclass(frozen=True)
class Section:
    """`body(result, image)` gives the Markdown under a result's heading; it may draw `image` (.svg) and refer to it."""

    title: str
    text: str
    body: Callable[[Result, Path], str]


def _peers(result: Result, image: Path) -> str:
    rows = result.data["rows"]
    draw_comparison(rows, image)
    missing = [f"- {row['name']} did not run: {row['problem']}" for row in rows if row["problem"]]
    missing += [f"- {name} is not compared: {reason}" for name, reason in NOT_COMPARED.items()]
    about = [f"- {row['name']}: {row['about']}" for row in rows]
    return _parts(_scan(result), peer_table(rows), _image(image), stage_table(rows), "\n".join([*about, *missing]))


def _nnunet(result: Result, image: Path) -> str:
    nnunet, exact = result.data["rows"]
    draw_comparison([nnunet, exact], image)
    ratios = "\n".join(f"- {line}" for line in ratio_lines(exact, nnunet))
    return _parts(
        _scan(result),
        peer_table([nnunet, exact]),
        _image(image),
        stage_table([nnunet, exact]),
        f"Ratios, {EXACT.name} / {NNUNET.name}:",
        ratios,
    )


def _cascade(result: Result, image: Path) -> str:
    rows = result.data["rows"]
    draw_comparison(rows, image)
    return _parts(_scan(result), cascade_table(rows), _image(image), stage_table(rows))


def _tricks(result: Result, image: Path) -> str:
    return _parts(_scan(result), tricks_table(result.data["rows"]))


def _scaling(result: Result, image: Path) -> str:
    series = result.data["series"]
    draw_scaling(series, image)
    tables = [f"{series_table(name, points)}\n\n{exponent_line(points)}" for name, points in series.items()]
    return _parts(_image(image), *tables)


def _budget(result: Result, image: Path) -> str:
    return budget_table(result.data["rows"])


def _floor(result: Result, image: Path) -> str:
    rates = (
        f"matrix product {result.data['matmul_gflops']:.0f} GFLOP/s, convolution {result.data['convolution_gflops']:.0f} GFLOP/s"
    )
    return _parts(f"Model {result.data['model']}; {rates}, fp32.", floor_table(result.data["rows"]))


def _metrics(result: Result, image: Path) -> str:
    data = result.data
    rows = [
        ("flare-trt", f"{sorted(data['ours_s'])[len(data['ours_s']) // 2]:.3f}"),
        ("surface-distance", f"{sorted(data['theirs_s'])[len(data['theirs_s']) // 2]:.3f}"),
    ]
    size = " x ".join(map(str, data["shape_zyx"][::-1]))
    words = f"{data['structures']} structures of {size} voxels: {data['ratio']:.1f} times faster."
    return _parts(words, markdown_table(("surface Dice by", "CPU (s)"), rows))


def _kernels(result: Result, image: Path) -> str:
    threads = result.data["threads"] or result.machine["cores"]
    return _parts(f"Threads of ours: {threads}; the peers run on one.", kernel_table(result.data["rows"]))


def _roofline(result: Result, image: Path) -> str:
    rows, (z, y, x), organs = result.data["rows"], result.data["spacing_mm"], result.data["organs_mm"]
    assumed = f"Assumed: voxels of {x:g} x {y:g} x {z:g} mm, organs of {' x '.join(f'{mm:g}' for mm in organs)} mm (z, y, x)."
    parts = [assumed]
    for precision in ("fp16", "fp32"):
        longest = [row for row in rows if row["precision"] == precision][-1]
        parts += [f"Networks in {precision}:", total_table(rows, precision), f"Stages of {longest['case']}:"]
        parts.append(roofline_stage_table(longest))
    return _parts(*parts)


def _gpu(result: Result, image: Path) -> str:
    return gpu_tables(result.data["steps"])


def _against(result: Result, image: Path) -> str:
    data = result.data
    installed = f"extras {data['extras']}" if data["extras"] else "no extras"
    parts = [f"Before: {data['before'][:12]}; after: {data['after'][:12]}. Installed with {installed}."]
    for same, words in ((True, "Equal weights on both sides:"), (False, "Each side's default weights:")):
        rows = [row for row in data["rows"] if row["same_weights"] == same]
        parts += [words, ratio_table(rows)] if rows else []
    return _parts(*parts)


def _export(result: Result, image: Path) -> str:
    return real_size_table(result.data["rows"])


def _speed(result: Result, image: Path) -> str:
    return speed_table(result.data["rows"])


def _half(result: Result, image: Path) -> str:
    return half_table(result.data["rows"])


def _scan(result: Result) -> str:
    scan = result.data["scan"]
    size = " x ".join(map(str, scan["shape_zyx"][::-1]))
    return f"Scan: {scan['case']}, {size} voxels." if "case" in scan else f"Scan: {size} voxels."


def _image(image: Path) -> str:
    return f"![{image.stem}]({image.parent.name}/{image.name})"


def _parts(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


#: Benchmark -> its section, in the document's order.
SECTIONS = {
    "peers": Section(
        "Peers",
        "Each peer is a process of its own, started cold, measured from outside: everything counts, imports and loading too. "
        "Host memory is RSS of the whole process tree. Equal voxels and the least DSC of any class are against nnU-Net's labels.",
        _peers,
    ),
    "nnunet": Section("nnU-Net and mode=exact alone", "The same weights, as ratios.", _nnunet),
    "cascade": Section(
        "Coarse to fine",
        "The paper's Table 6: the fine network over the whole scan, and only where the coarse one found the abdomen.",
        _cascade,
    ),
    "tricks": Section(
        "What mode=fast is made of",
        "Each trick alone against mode=exact of the same bundle. `body box` is in every other variant too.",
        _tricks,
    ),
    "scaling": Section(
        "Scaling",
        "Phantom scans and small synthetic networks, so that what is around the network shows. The floor is the network's "
        "operations over the machine's measured rate for convolutions. Exponents are fitted to the upper half of each series.",
        _scaling,
    ),
    "budget": Section(
        "Memory budget",
        "Peak resident memory above a process that has only imported the engine, with `--max-memory` and without. The scans are "
        "512 x 512 voxels in plane, a real torso over and over; the networks are synthetic.",
        _budget,
    ),
    "floor": Section("The network's floor", "Operations of a forward pass over the measured rate for convolutions.", _floor),
    "roofline": Section(
        "Roofline of the GPU path",
        "Not measured: this project never ran on a GPU. The least time that the planned work can take on a card, from what every "
        "step moves and computes and the card's data sheet, beside the times and peaks that the paper measured on a Quadro RTX "
        "5000 (table 4; end to end). Peaks are the plan's, activations estimated, CUDA's context left out.",
        _roofline,
    ),
    "against": Section(
        "Against an earlier commit",
        "Both commits are installed alike, with the same packages, and run as whole processes in pairs; a ratio is the median of "
        "the pairs' ratios. The file cache is warm. Our own caches are empty at each start, or filled by a run before.",
        _against,
    ),
    "export": Section(
        "Networks of real size",
        "Each network is exported with the full check, then one CT goes through nnUNetPredictor (mirroring off unless said) and "
        "through mode=exact on both CPU backends. The weights are random, with last layers that contest many classes: the labels "
        "are no anatomy, how many agree is what counts.",
        _export,
    ),
    "speed": Section(
        "Speed at real size",
        "nnU-Net's predictor and ours on the same weights and scan, each a process of its own. The paper's fine network and "
        "nnU-Net's default plan for CT run on the middle of the scan at the spacing that they are planned for, eight tiles. Their "
        "weights are random; half precision moves the labels of random weights much further than those of trained ones. The "
        "default model's fine network runs on the whole scan. Where a share of the tiles was run, seconds and area hold what the "
        "others would have taken at the same rate.",
        _speed,
    ),
    "half": Section(
        "Half precision",
        "The default model in mode=half beside mode=exact: bf16 beside fp32. Then nnU-Net's own predictor on the fine weights, "
        "with its convolutions in bf16 by torch's autocast beside fp32. On a GPU nnU-Net computes in half precision by itself.",
        _half,
    ),
    "gpu": Section(
        "On a real GPU",
        "`make gpu`: parity with the CPU, kernels, whole scans and memory on one card. A kernel's bandwidth counts each array once "
        "(benchmarks/gpu_plan/cost.py) and its time holds the launch. Backend `torch-stand-in` belongs to the gate and is none of "
        "flare-trt's: where it stands, times and memory of networks say nothing of TensorRT.",
        _gpu,
    ),
    "metrics": Section(
        "Metrics", "NSD of a shifted label map, by us and by DeepMind's surface-distance in the same run.", _metrics
    ),
    "kernels": Section(
        "Kernels",
        "The CPU kernels at the sizes of an abdominal CT. A kernel whose result is wrong is not timed. The difference is the "
        "share of unequal values, for resample_spline the largest error as a share of the range.",
        _kernels,
    ),
}
