"""From a plan to a folder that evaluation reads, by a generator that draws without weights."""

import json
import os
import signal

import pytest
from PIL import Image

from attribution.evaluation.benchmark.manifest import read_manifest_folder
from attribution.synthesis.context.making import make_images
from attribution.synthesis.context.plan import (
    BadPlan,
    class_and_context,
)
from tests.support.forks import Fork
from tests.support.planned import CLASSES, PICTURES, each, noise, plan
from tests.support.waiting import PATIENCE


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_plan_is_a_function_of_its_arguments_and_its_lines_tell_images_apart():
    planned = plan(3)
    assert planned == plan(3)
    assert planned != plan(3, seed=1)
    assert [image.number for image in planned] == list(range(9))
    assert len({image.seed for image in planned}) == 9
    assert len({json.dumps(image.document) for image in planned}) == 9
    assert planned[0].exemplars == tuple(f"few/kite/{shot}.jpg" for shot in range(5))
    assert planned[0].prompt.startswith("a bird photo of a kite in the ground ")
    assert planned[0].document["context"].keys() == {"background", "pose"}
    assert plan(2, source="none")[0].document["context"] is None


def test_same_draws_give_every_class_the_same_contexts_and_noise():
    planned = plan(4, same_draws=True)
    by_class = [[i for i in planned if i.class_name == name] for name in CLASSES]
    drawn = [[(image.context, image.seed) for image in images] for images in by_class]
    assert drawn[0] == drawn[1] == drawn[2]


def test_class_and_context_are_independent_in_the_plan_unless_the_context_is_of_the_class():
    assert class_and_context(plan(40)).p_value > 0.05
    assert class_and_context(plan(40, source="same-class")).p_value == 0.001
    assert class_and_context(plan(40, same_draws=True)).p_value == 1
    with pytest.raises(BadPlan, match="nothing to test"):
        class_and_context(plan(2, source="none"))


def test_a_plan_of_nothing_or_of_an_unknown_class_is_refused():
    with pytest.raises(BadPlan, match="are a count"):
        plan(-1)
    with pytest.raises(BadPlan, match="no picture of 'eagle'"):
        plan(1, classes=["eagle"])


def test_what_is_made_is_read_by_evaluation(tmp_path):
    seen = []
    made = make_images(
        plan(), PICTURES, each(noise), tmp_path, on_progress=lambda *counts: seen.append(counts)
    )
    assert (made.images, made.left_out) == (6, 0)
    assert seen == [(done, 6) for done in range(1, 7)]
    benchmark = read_manifest_folder(tmp_path)
    assert len(benchmark.cases) == 6
    for case, image in zip(benchmark.cases, plan(), strict=True):
        assert len(case.truths) == 5
        for truth, name in zip(case.truths, image.exemplars, strict=True):
            with Image.open(tmp_path / truth.key) as source:
                assert source.tobytes() == PICTURES[name].tobytes()
        with Image.open(case.query) as query:
            assert query.tobytes() == noise(image.prompt, image.seed).tobytes()
    rows = [json.loads(line) for line in made.manifest.read_text().splitlines()]
    assert {key: rows[0][key] for key in plan()[0].document} == plan()[0].document


def _make_until_killed(folder, images):
    """Make so many and be killed while the next is drawn."""
    left = images

    def draw(prompt, seed):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return noise(prompt, seed)

    make_images(plan(), PICTURES, each(draw), folder)


def test_a_run_that_is_killed_anywhere_goes_on_to_the_same_files(tmp_path):
    whole = tmp_path / "whole"
    make_images(plan(), PICTURES, each(noise), whole)
    folder = tmp_path / "killed"
    with Fork(_make_until_killed, folder, 3) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    assert len(list((folder / "queries").glob("*.png"))) == 3
    # As if it had died while a row was written, after its image was in place.
    rows = (folder / "manifest.jsonl").read_bytes()
    (folder / "manifest.jsonl").write_bytes(rows[: rows.rstrip(b"\n").rfind(b"\n") + 40])
    drawn = []
    make_images(plan(), PICTURES, each(lambda *key: drawn.append(key) or noise(*key)), folder)
    assert contents(folder) == contents(whole)
    assert len(drawn) == 4
    make_images(plan(), PICTURES, lambda _: pytest.fail("made already"), folder)


def test_what_is_drawn_together_does_not_depend_on_where_a_run_was_stopped(tmp_path):
    drawn = []

    def together(asked):
        """As rounding may have it: an image is another in other company."""
        drawn.append(len(asked))
        return [noise(prompt, seed + sum(seed for _, seed in asked)) for prompt, seed in asked]

    make_images(plan(), PICTURES, together, tmp_path / "whole", at_once=4)
    assert drawn == [4, 2]
    part = tmp_path / "part"
    make_images(plan(), PICTURES, together, part, at_once=4)
    rows = (part / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (part / "manifest.jsonl").write_bytes(b"".join(rows[:5]))  # stopped within the second
    (part / "queries" / "00005.png").unlink()
    make_images(plan(), PICTURES, together, part, at_once=4)
    assert contents(part) == contents(tmp_path / "whole")
    assert drawn == [4, 2, 4, 2, 2]


def test_copies_of_an_exemplar_are_drawn_again_and_left_out_where_that_does_not_help(tmp_path):
    first, *others = plan()
    copy = PICTURES[first.exemplars[2]]
    mirrored = copy.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    def once(words, seed):
        return mirrored if seed == first.seed else noise(words, seed)

    def always(words, seed):
        return copy if words == first.prompt else noise(words, seed)

    made = make_images(plan(), PICTURES, each(once), tmp_path / "once")
    assert (made.images, made.left_out) == (6, 0)
    row = json.loads(made.manifest.read_text().splitlines()[0])
    assert row["seed"] != first.seed
    with Image.open(tmp_path / "once" / row["query"]) as query:
        assert query.tobytes() == noise(first.prompt, row["seed"]).tobytes()
    same = 1 + sum(image.prompt == first.prompt for image in others)
    made = make_images(plan(), PICTURES, each(always), tmp_path / "always")
    assert (made.images, made.left_out) == (6 - same, same)
    left = (tmp_path / "always" / "left_out.jsonl").read_text()
    assert json.loads(left.splitlines()[0]) == {"number": 0, "reason": "copies of an exemplar"}


def test_another_plan_and_a_missing_exemplar_are_refused(tmp_path):
    make_images(plan(), PICTURES, each(noise), tmp_path)
    before = contents(tmp_path)
    with pytest.raises(BadPlan, match="holds another plan"):
        make_images(plan(seed=1), PICTURES, each(noise), tmp_path)
    assert contents(tmp_path) == before
    with pytest.raises(BadPlan, match=r"few/kite/0\.jpg is an exemplar"):
        make_images(plan(), {}, each(noise), tmp_path / "none")
