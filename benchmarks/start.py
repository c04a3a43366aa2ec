"""How long it takes from pressing return: `--help`, a query, a service that decides.

On copies of a data folder, or of one made from a folder of images. A query is measured as the first
one on the folder, as the second one, and beside a running service; a start after a clean stop, from
launching the process to the first answer with a decision. With `--against CHECKOUT` another version
of the code is measured in the same run, step by step in turn, and ratios are given. Processor time
is that of the process up to then: on a machine that does other things as well it says more.

    python benchmarks/start.py QUERY.jpg --data var --against ../before --out start.json
    python benchmarks/start.py QUERY.jpg --images photographs/ --out start.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).resolve().parent.parent
LONGEST = 900.0  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one step."""

    wall: float
    processor: float


class Version:
    """One version of the code, with a data folder of its own."""

    def __init__(self, checkout: Path, data: Path) -> None:
        self.checkout, self.data = checkout, data
        self.environment = {
            name: value
            for name, value in os.environ.items()
            # Without compiled modules every start would measure the compiler.
            if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("ATTRIBUTION_")
        }

    def warm_up(self) -> None:
        """Have the modules compiled and in the machine's memory."""
        modules = "import app.cli.main, app.cli.serve, app.cli.asking, app.cli.query"
        subprocess.run([sys.executable, "-c", modules], check=True, **self._where())

    def run(self, *arguments: object) -> tuple[Took, str]:
        """A command to its end, and what it wrote to stdout."""
        started = time.perf_counter()
        process = subprocess.Popen(
            self._command(*arguments), stdout=subprocess.PIPE, text=True, **self._where()
        )
        assert process.stdout is not None
        with process.stdout:
            out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{arguments} ended with {process.returncode}")
        took = Took(time.perf_counter() - started, usage.ru_utime + usage.ru_stime)
        return took, out

    def query(self, image: Path) -> tuple[Took, dict[str, Any]]:
        """`attribution query --json`, and its answer."""
        took, out = self.run("query", image, "--json", "--data", self.data)
        answer: dict[str, Any] = json.loads(out)
        if answer["decision"] is None:
            raise RuntimeError("the query got no decision")
        return took, answer

    def serve(self) -> tuple[subprocess.Popen[str], str, float]:
        """A service, once it listens: the process, its address, and when it was launched."""
        launched = time.perf_counter()
        process = subprocess.Popen(
            self._command("serve", "--port", 0, "--data", self.data),
            stderr=subprocess.PIPE, text=True, **self._where(),
        )  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"running on (http://\S+)", line):
                return process, found[1], launched
        raise RuntimeError("the service ended before it listened")

    def start(self, image: Path) -> Took:
        """A service from its launch to its first answer with a decision."""
        process, address, launched = self.serve()
        try:
            while httpx.get(f"{address}/readyz", timeout=LONGEST).status_code != 200:
                time.sleep(0.02)
            answer = httpx.post(
                f"{address}/v1/attributions",
                content=image.read_bytes(),
                headers={"Content-Type": "image/*"},
                timeout=LONGEST,
            )
            if answer.json()["decision"] is None:
                raise RuntimeError("the service is ready, and decides nothing")
            return Took(time.perf_counter() - launched, processor_seconds(process.pid))
        finally:
            _stop(process)

    def query_beside_a_service(self, image: Path) -> tuple[Took, dict[str, Any]]:
        """`query` while a service runs on the folder and is ready."""
        process, address, _ = self.serve()
        try:
            while httpx.get(f"{address}/readyz", timeout=LONGEST).status_code != 200:
                time.sleep(0.1)
            return self.query(image)
        finally:
            _stop(process)

    def forget(self) -> None:
        """Remove what a start goes on from: the next one is a first one."""
        shutil.rmtree(self.data / "index", ignore_errors=True)

    def _command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "app.cli.main", *map(str, arguments)]

    def _where(self) -> dict[str, Any]:
        return {"cwd": self.checkout, "env": self.environment}


def processor_seconds(process: int) -> float:
    """What a running process has used so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONGEST)


def measure(versions: dict[str, Version], image: Path, rounds: int) -> dict[str, Any]:
    """Every step of every version in turn; the quickest of the rounds, but of first queries."""
    found: dict[str, dict[str, list[Took]]] = {name: {} for name in versions}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in versions}

    def note(name: str, step: str, took: Took) -> None:
        found[name].setdefault(step, []).append(took)
        print(f"{name:8} {step:24} {took.wall:7.2f} s  {took.processor:7.2f} s of processor time")

    for each in versions.values():
        each.warm_up()
        each.forget()
    for name, each in versions.items():
        took, answer = each.query(image)
        note(name, "first query", took)
        answers[name].append(answer)
    for _ in range(rounds):
        for name, each in versions.items():
            note(name, "--help", each.run("--help")[0])
        for name, each in versions.items():
            took, answer = each.query(image)
            note(name, "second query", took)
            answers[name].append(answer)
        for name, each in versions.items():
            note(name, "restart to decision", each.start(image))
        for name, each in versions.items():
            took, answer = each.query_beside_a_service(image)
            note(name, "query beside a service", took)
            answers[name].append(answer)
    steps = {
        name: {step: asdict(min(took, key=lambda each: each.wall)) for step, took in steps.items()}
        for name, steps in found.items()
    }
    return {"steps": steps, "answers": differences(answers)}


def differences(answers: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """How far the answers of all steps and versions stray from the first one."""
    every = [answer for some in answers.values() for answer in some]
    first = every[0]
    stray = max(
        abs(ours[figure] - theirs[figure])
        for answer in every
        for ours, theirs in zip(first["sources"], answer["sources"], strict=True)
        for figure in ("score", "p_value", "share")
    )
    same = all(
        [source["uri"] for source in answer["sources"]]
        == [source["uri"] for source in first["sources"]]
        and answer["decision"] == first["decision"]
        for answer in every
    )
    return {"compared": len(every), "same sources and decision": same, "largest difference": stray}


def data_folder(arguments: argparse.Namespace, aside: Path) -> Path:
    """The folder to copy: the one named, or one made from images."""
    if arguments.data is not None:
        return Path(arguments.data)
    made = aside / "made"
    Version(HERE, made).run("ingest", Path(arguments.images).resolve(), "--data", made)
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Measure as the command line says, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("query", type=Path, help="image to ask about")
    folder = parser.add_mutually_exclusive_group(required=True)
    folder.add_argument("--data", help="data folder, of which copies are measured")
    folder.add_argument("--images", help="folder of images to make one from")
    parser.add_argument("--against", type=Path, help="checkout of another version of the code")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("start.json"))
    arguments = parser.parse_args(argv)
    image = arguments.query.resolve()
    checkouts = {"now": HERE}
    if arguments.against is not None:
        checkouts = {"before": arguments.against.resolve(), **checkouts}
    with tempfile.TemporaryDirectory() as folder_name:
        aside = Path(folder_name)
        whole = data_folder(arguments, aside)
        versions = {}
        for name, checkout in checkouts.items():
            copy = shutil.copytree(
                whole, aside / name, ignore=shutil.ignore_patterns("index", "service.lock")
            )
            versions[name] = Version(checkout, copy)
        _, held = versions["now"].run("index", "--json", "--data", versions["now"].data)
        report = {
            "machine": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load average at the start": os.getloadavg()[0],
            "versions": {name: version(name) for name in ("torch", "numpy", "faiss-cpu")},
            "python": platform.python_version(),
            "sources": json.loads(held)["vectors"],
            "rounds": arguments.rounds,
            **measure(versions, image, arguments.rounds),
        }
    steps = report["steps"]
    if "before" in steps:
        report["times quicker, by processor time"] = {
            step: round(steps["before"][step]["processor"] / took["processor"], 1)
            for step, took in steps["now"].items()
        }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{arguments.out}: {report['answers']}")


if __name__ == "__main__":
    main()
