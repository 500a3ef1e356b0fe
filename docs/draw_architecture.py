"""Draws the rooms of the project, and who imports whom, from the imports themselves.

    python docs/draw_architecture.py              rewrites docs/img/architecture.svg and the table in docs/architecture.md
    python docs/draw_architecture.py --print DIR  prints rooms, modules, lines and arrows of any checkout

A room is a folder directly in one of the top folders, or a module that lies there alone. The public names of engine/__init__.py
belong to its door, segmenter.py; __main__.py files only start things and are left out.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "img" / "architecture.svg"
BEGIN, END = "<!-- rooms: drawn by docs/draw_architecture.py -->", "<!-- end of rooms -->"
TOPS = ("kernels", "engine", "export", "benchmarks", "training")
DOOR = "segmenter"


@dataclass(frozen=True)
class House:
    """Rooms by name ("engine/passes"), what each is for, its modules, and arrows from a room to those that it imports."""

    about: Mapping[str, str]
    modules: Mapping[str, tuple[Path, ...]]
    arrows: Mapping[str, frozenset[str]]

    @property
    def count(self) -> int:
        """Number of arrows."""
        return sum(map(len, self.arrows.values()))


def python_files(checkout: Path) -> list[Path]:
    """The modules of the top folders, relative to the checkout; those that git knows, where it is a repository."""
    done = subprocess.run(["git", "ls-files", "-z", *TOPS], cwd=checkout, capture_output=True, text=True, check=False)
    names = (
        done.stdout.split("\0")
        if done.returncode == 0
        else [str(p.relative_to(checkout)) for t in TOPS for p in (checkout / t).rglob("*")]
    )
    files = (Path(name) for name in names if name.endswith(".py") and (checkout / name).is_file())
    return sorted(file for file in files if file.stem != "__main__")


def read_house(checkout: Path, whole: Iterable[str] = ()) -> House:
    """The house of a checkout. The top folders in `whole` are one room each."""
    files = python_files(checkout)
    modules: dict[str, tuple[Path, ...]] = {}
    for file in files:
        room = room_of(file.with_suffix("").parts, whole)
        modules[room] = (*modules.get(room, ()), file)
    arrows = {}
    for room, own in modules.items():
        found = {room_of(parts, whole) for file in own for parts in imported(checkout / file)}
        arrows[room] = frozenset(known(found, modules) - {room})
    about = {room: first_line(checkout / about_file(room, own)) for room, own in modules.items()}
    return House(about, modules, arrows)


def room_of(parts: tuple[str, ...], whole: Iterable[str]) -> str:
    """The room of a module, by the parts of its path or name below flare_trt."""
    if parts[0] in whole or len(parts) == 1:
        return parts[0]
    return f"{parts[0]}/{DOOR if parts[:2] == ('engine', '__init__') else parts[1]}"


def known(found: Iterable[str], modules: Mapping[str, object]) -> set[str]:
    """Rooms that are there; a name out of engine/__init__.py is the door's, one out of another folder's __init__ that folder's."""
    names = set()
    for room in found:
        top = room.split("/")[0]
        alone = f"{top}/{DOOR}" if top == "engine" else f"{top}/__init__"
        names.add(next((name for name in (room, alone, top) if name in modules), room))
    return names & set(modules)


def imported(file: Path) -> Iterator[tuple[str, ...]]:
    """Names below flare_trt that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (tuple(name.split(".")[1:]) for name in names if name.startswith("flare_trt."))


def about_file(room: str, own: tuple[Path, ...]) -> Path:
    """The module whose docstring says what the room is for: its __init__.py, or the module itself."""
    return next(
        (file for file in own if file == Path(room) / "__init__.py"), next(f for f in own if f.stem != "__init__" or len(own) == 1)
    )


def first_line(file: Path) -> str:
    """First sentence of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def circles(arrows: Mapping[str, frozenset[str]]) -> list[set[str]]:
    """Sets of rooms that import each other, directly or around."""
    reach = {room: below(room, arrows) for room in arrows}
    found: list[set[str]] = []
    for room in arrows:
        mates = {other for other in reach[room] if room in reach[other]}
        if mates and mates not in found:
            found.append(mates)
    return found


def below(room: str, arrows: Mapping[str, frozenset[str]]) -> set[str]:
    """All rooms that one imports, directly or through others."""
    found: set[str] = set()
    ends = set(arrows[room])
    while ends:
        found |= ends
        ends = {further for end in ends for further in arrows.get(end, ())} - found
    return found


def floors(arrows: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Rooms from the bottom up: each lies above all that it imports. Rooms of one circle share a floor."""
    left, storeys = set(arrows), []
    while left:
        open_ends = {room: below(room, arrows) & left for room in left}
        ready = sorted(room for room, needs in open_ends.items() if all(room in open_ends.get(need, ()) for need in needs))
        storeys.append(ready)
        left -= set(ready)
    return storeys


def direct(arrows: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """The arrows that no other arrows imply: what a picture needs."""
    return {
        room: sorted(t for t in targets if not any(t in below(o, arrows) for o in targets if o != t))
        for room, targets in arrows.items()
    }


BOX, GAP, STOREY, LANE = (196, 46), 26, 92, 22


def svg(house: House) -> str:
    """The picture: floors from the bottom up, an arrow from each room to those that it stands on."""
    storeys, targets_of = floors(house.arrows), direct(house.arrows)
    inner = max(len(rooms) for rooms in storeys) * (BOX[0] + GAP) + GAP
    height = len(storeys) * STOREY + GAP
    level = {room: number for number, rooms in enumerate(storeys) for room in rooms}
    places = {}
    for number, rooms in enumerate(storeys):
        left = (inner - len(rooms) * (BOX[0] + GAP) + GAP) / 2
        for at, room in enumerate(rooms):
            places[room] = (left + at * (BOX[0] + GAP), height - (number + 1) * STOREY + GAP)
    pairs = [(room, target) for room, targets in targets_of.items() for target in targets]
    far = [pair for pair in pairs if level[pair[0]] - level[pair[1]] > 1]
    width = inner + LANE * (len(far) + 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#7a8794"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(near_arrow(places[room], places[target]) for room, target in pairs if (room, target) not in far),
        *(far_arrow(places[room], places[target], inner + LANE * lane) for lane, (room, target) in enumerate(far)),
        *(box(room, place) for room, place in places.items()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def near_arrow(start: tuple[float, float], stop: tuple[float, float]) -> str:
    """A curve from the lower edge of a box to the upper edge of one on the next floor."""
    x0, y0, x1, y1 = start[0] + BOX[0] / 2, start[1] + BOX[1], stop[0] + BOX[0] / 2, stop[1]
    bend = (y1 - y0) / 2
    return curve(f"M{x0:.0f} {y0:.0f}C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1:.0f}")


def far_arrow(start: tuple[float, float], stop: tuple[float, float], lane: float) -> str:
    """A line to a box further down, around all others: out between two floors, along a lane at the side, and in again."""
    x0, y0, x1, y1 = start[0] + BOX[0], start[1] + BOX[1] / 2, stop[0] + BOX[0] * 0.8, stop[1]
    between = y1 - (STOREY - BOX[1]) * 0.6
    return curve(f"M{x0:.0f} {y0:.0f}H{lane:.0f}V{between:.0f}H{x1:.0f}V{y1:.0f}")


def curve(path: str) -> str:
    """A line with a head."""
    return f'<path d="{path}" fill="none" stroke="#7a8794" stroke-width="1.3" marker-end="url(#to)"/>'


def box(room: str, place: tuple[float, float]) -> str:
    """A room with its name."""
    inside = room.startswith("engine/")
    fill, (x, y) = "#e8f1fb" if inside else "#f3efe6", place
    name = escape(room if inside else f"{room}/")
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="7" fill="{fill}" stroke="#4a5a6a"/>'
        f'<text x="{x + BOX[0] / 2:.0f}" y="{y + BOX[1] / 2 + 5:.0f}" text-anchor="middle">{name}</text>'
    )


def table(house: House) -> str:
    """Rooms from the top down: what each is for, and what it imports."""
    lines = ["| room | what it is for | imports |", "|---|---|---|"]
    for rooms in reversed(floors(house.arrows)):
        for room in rooms:
            targets = ", ".join(name.removeprefix("engine/") for name in sorted(house.arrows[room])) or "nothing"
            lines.append(f"| `{room}` | {house.about[room]} | {targets} |")
    return "\n".join(lines)


def page(text: str, house: House) -> str:
    """The page with the table between its marks drawn again."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(house)}\n{END}{after}"


def summary(house: House, checkout: Path) -> str:
    """Numbers of each top folder, then each room with its arrows."""
    lines = []
    for top in TOPS:
        own = {room: files for room, files in house.modules.items() if room.split("/")[0] == top}
        inner = {room: frozenset(t for t in house.arrows[room] if t in own) for room in own}
        files = [file for several in own.values() for file in several]
        length = sum(len((checkout / file).read_text(encoding="utf-8").splitlines()) for file in files)
        lines.append(
            f"{top}: {len(files)} modules, {length} lines, {len(own)} rooms on {len(floors(inner))} floors, "
            f"{sum(map(len, inner.values()))} arrows between them, {len(circles(inner))} circles"
        )
    lines.append(f"all: {sum(map(len, house.modules.values()))} modules, {len(house.modules)} rooms, {house.count} arrows")
    return "\n".join([*lines, *(f"{room} -> {', '.join(sorted(house.arrows[room])) or '-'}" for room in sorted(house.arrows))])


def main() -> None:
    """Draw, or print."""
    parser = argparse.ArgumentParser(description="Draw the rooms of the project from its imports.")
    parser.add_argument("--print", type=Path, metavar="DIR", help="print rooms, modules, lines and arrows of this checkout instead")
    arguments = parser.parse_args()
    if arguments.print:
        print(summary(read_house(arguments.print), arguments.print))
        return
    house = read_house(ROOT, whole=("kernels", "export", "benchmarks", "training"))
    PICTURE.write_text(svg(house), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), house), encoding="utf-8")


if __name__ == "__main__":
    main()
