"""Decodes damaged images in a process that may crash.

``python -m tests.fault.image_fuzz SEED COUNT [FIRST]`` prints what it found as one JSON object. The
number of the input under way is in the file that the environment names as FUZZ_PROGRESS, for when
the decoder takes the process down with it.
"""

import faulthandler
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from models.images.decoding import decode
from models.images.errors import DecodingLimits, ImageError
from tests.fault.image_mutations import corpus, mutated

ROOT = Path(__file__).parents[2]
LIMITS = DecodingLimits(max_bytes=1_000_000, max_pixels=1_000_000)
MOST_SECONDS = 2.0
"""Of processor time for one input; a million pixels take some 0.05."""
MOST_BYTES = 48 * 2**20
"""More than before at any moment of one input; a million pixels of four bytes, a few times over."""
_HANGS_SECONDS = 300.0
_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")
_NOW = re.compile(rb"VmRSS:\s+(\d+) kB")


def fuzzed(folder: Path, *, seed: int, inputs: int) -> dict:
    """What a process found that decodes so many inputs of a seed."""
    progress = folder / "progress"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.fault.image_fuzz", str(seed), str(inputs)],
        cwd=ROOT,
        env=os.environ | {"FUZZ_PROGRESS": str(progress)},
        capture_output=True,
        text=True,
        check=False,
    )
    at = progress.read_text(encoding="ascii") if progress.exists() else "none"
    assert done.returncode == 0, f"seed {seed}, input {at} took it down: {done.stderr}"
    return json.loads(done.stdout)


def fuzz(seed: int, numbers: range) -> dict[str, object]:
    """Decode the inputs; what happened, how often, and the worst of time and memory."""
    files = corpus()
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    longest, largest = 0.0, 0
    progress = os.environ.get("FUZZ_PROGRESS")
    for number in numbers:
        if progress:
            Path(progress).write_text(str(number), encoding="ascii")
        data = mutated(files, seed, number)
        faulthandler.dump_traceback_later(_HANGS_SECONDS, exit=True)
        before, started = _reset_peak(), time.process_time()
        outcome = _outcome(data)
        seconds, grown = time.process_time() - started, _memory(_PEAK) - before
        outcomes[outcome] += 1
        longest, largest = max(longest, seconds), max(largest, grown)
        if outcome.startswith("!") or seconds > MOST_SECONDS or grown > MOST_BYTES:
            wrong.append(f"input {number}: {outcome}, {seconds:.2f} s, {grown:,} bytes")
    faulthandler.cancel_dump_traceback_later()
    return {
        "seed": seed,
        "inputs": len(numbers),
        "outcomes": dict(outcomes.most_common()),
        "longest_seconds": round(longest, 3),
        "largest_bytes": largest,
        "wrong": wrong,
    }


def _outcome(data: bytes) -> str:
    try:
        decoded = decode(data, limits=LIMITS)
    except ImageError as error:
        return error.code
    except BaseException as error:  # noqa: BLE001 (this is what is looked for)
        return f"! {type(error).__name__}: {error}"
    image = decoded.image
    fits = decoded.width * decoded.height <= LIMITS.max_pixels and max(image.size) <= 512
    if image.mode != "RGB" or not fits:
        return f"! {image.mode} {image.size} of {decoded.width} x {decoded.height}"
    image.getpixel((image.width - 1, image.height - 1))
    return decoded.format


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_bytes(b"5")
    return _memory(_NOW)


def _memory(which: re.Pattern[bytes]) -> int:
    found = which.search(Path("/proc/self/status").read_bytes())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    first, count = (int(word) for word in (sys.argv[3] if len(sys.argv) > 3 else "0", sys.argv[2]))
    print(json.dumps(fuzz(int(sys.argv[1]), range(first, first + count))))
