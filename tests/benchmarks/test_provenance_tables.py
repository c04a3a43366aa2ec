"""Arms penalise what they say, runs are not repeated, tables hold the intervals they claim."""

import json
from dataclasses import replace

import actors
import both_sources
import boxes
import classification
import numpy as np
import pytest
import table
import torch
from arms import ARMS, Trial, edit_penalty, mix_penalty, trials
from objects import Object
from pictures import Size, made
from skeletons import ACTIONS, make_sequences
from trainings import OtherSettings, keep_settings, run_all


def test_arms_penalise_what_they_are_called_after():
    gradient, masks = torch.ones(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)
    masks[0, :, :2] = 1
    assert float(edit_penalty("true", gradient, masks)) == 3 * (8 + 16) / 2
    gradient[1] = 0
    assert float(edit_penalty("true", gradient, masks)) == 3 * 8 / 2
    assert float(edit_penalty("random", gradient, masks)) == 3 * 16 / 2
    assert float(edit_penalty("full", gradient, masks)) == 3 * 16 / 2
    other = torch.zeros_like(gradient)
    assert float(mix_penalty("true", gradient, other, masks)) == 3 * 8 / 2
    assert float(mix_penalty("true", other, gradient, masks)) == 3 * 8 / 2
    assert float(mix_penalty("random", gradient, other, masks)) == 3 * 16 / 2
    assert float(mix_penalty("full", gradient, 2 * gradient, masks)) == 3 * 16 * (1 + 4) / 2


def test_every_arm_with_a_weight_has_the_same_grid():
    planned = list(trials(2, (0.1, 1.0, 0.3), (-0.1, 0.1)))
    assert len({trial.name for trial in planned}) == len(planned) == 2 * (2 + 3 * 3 + 2)
    for arm in ("true", "random", "full"):
        own = [each.weight for each in planned if each.arm == arm and not each.noise]
        assert own == [0.1, 1.0, 0.3] * 2
    assert {each.weight for each in planned if each.noise} == {0.3}


def test_what_is_done_is_read_and_other_settings_are_refused(tmp_path):
    ran = []

    def run(trial):
        ran.append(trial.name)
        return {"figures": {"a": 1.0}, "samples": {}}

    planned = list(trials(2, (0.1,), arms=("synthesis", "true")))
    first = run_all(tmp_path, planned, run, only=[1])
    assert [each["seed"] for each in first] == [1, 1]
    records = run_all(tmp_path, planned, run)
    assert ran == [each.name for each in [*planned[2:], *planned[:2]]]
    assert [(each["seed"], each["arm"]) for each in records] == [
        (each.seed, each.arm) for each in planned
    ]
    (tmp_path / f"{planned[0].name}.json").unlink()
    rest = run_all(tmp_path, planned, run, only=[1])  # a seed that lacks a run is in no table
    assert {each["seed"] for each in rest} == {1}
    keep_settings(tmp_path, {"side": 48})
    keep_settings(tmp_path, {"side": 48})
    with pytest.raises(OtherSettings, match="--runs"):
        keep_settings(tmp_path, {"side": 64})


def record(arm, seed, right, weight=0.0, validation=0.0, noise=0.0):
    return {
        "arm": arm,
        "seed": seed,
        "weight": weight,
        "noise": noise,
        "validation": validation,
        "cpu_seconds_epoch": 1.0,
        "samples": {"right": right, "group": [0, 1] * (len(right) // 2)},
    }


def test_a_table_pairs_arms_and_chooses_weights_on_validation():
    rng = np.random.default_rng(0)
    records = []
    for seed in range(3):
        base = rng.integers(0, 2, 40).tolist()
        lowered = [min(each, place % 2) for place, each in enumerate(base)]
        records += [record("synthesis", seed, base)]
        records += [record("true", seed, base, 0.1, validation=0.9 - seed / 10)]
        records += [record("true", seed, lowered, 1.0, validation=0.1 + seed / 10)]
        records += [record("true", seed, [1] * 40, 0.1, validation=5.0, noise=0.3)]
    plan = table.Plan(
        "a",
        "worst",
        {"worst": table.worst_group, "mean": table.mean_of("right")},
        (0.1, 1.0),
        elements=300,
    )
    found = table.summary(plan, records, draws=200)
    assert found["weights"] == {"true": {"sum": 0.1, "mean": 30.0}}
    assert found["differences"]["true - synthesis"]["mean"] == [0, 0, 0]
    value, low, high = found["levels"]["synthesis"]["mean"]
    assert low < value < high
    assert value == pytest.approx(
        np.mean([each["samples"]["right"] for each in records if each["arm"] == "synthesis"]), 1e-3
    )
    assert found["every_weight"]["true 1 - synthesis"]["worst"][2] < 0
    assert found["noisy_masks"]["+0.3"]["mean"][1] > 0  # against the middle weight
    assert "| true | " in table.markdown(found)
    assert "0.1 (30), 1 (300). Chosen: true 0.1" in table.markdown(found)


def test_the_order_of_the_arms_is_judged_as_a_whole():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2, 200)
    easier, harder = np.maximum(base, rng.random(200) < 0.3), base * (rng.random(200) < 0.7)
    results = {"synthesis": base, "true": easier, "random": harder, "full": harder}
    plan = table.Plan("a", "mean", {"mean": table.mean_of("right")}, (0.1,), elements=1)

    def judged(arms):
        records = [
            record(arm, seed, right.tolist(), 0.1 * (arm != "synthesis"))
            for arm, right in arms.items()
            for seed in range(2)
        ]
        return table.summary(plan, records, draws=100)["pattern"]

    assert judged(results) == {"means_in_order": True, "share_of_resamples": 1.0}
    turned = judged(results | {"full": easier})
    assert turned == {"means_in_order": False, "share_of_resamples": 0.0}
    assert judged({"synthesis": base, "true": easier}) is None


def test_the_worst_group_is_the_least_of_those_that_were_drawn():
    samples = {"right": np.array([1, 0, 1, 1.0]), "group": np.array([0, 0, 1, 2.0])}
    assert table.worst_group(samples, np.ones(4)) == 0.5
    assert table.worst_group(samples, np.array([3, 1, 1, 1.0])) == 0.75
    assert table.worst_group(samples, np.array([0, 0, 1, 1.0])) == 1


def small_data():
    rng = np.random.default_rng(0)
    things = [
        Object(label, np.full((8, 8, 3), value, np.uint8), np.ones((8, 8), bool))
        for label, value in (("a", 200), ("b", 250))
        for _ in range(24)
    ]
    grounds = [[rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)] * 2 for _ in range(2)]
    return made(things, grounds, Size(32, 16, 4, 0.9), rng)


def test_every_arm_of_the_tables_on_pictures_runs_and_is_repeated_exactly():
    data = small_data()
    scale = classification.Scale(
        Size(32, 16, 4, 0.9), 1, 1, (1e3,), (0.3,), ARMS, widths=(8, 8, 8, 8)
    )
    records = {}
    for trial in trials(1, (1e3,), (0.3,)):
        found = classification.run(trial, data, scale)
        assert len(found["samples"]["right"]) == len(found["samples"]["unit"]) == 16
        assert 0 < found["figures"]["off_target"] < 1
        records[trial.name] = found["figures"]["off_target"]
    assert len(set(records.values())) == len(records)  # every arm is another network
    again = classification.run(Trial("true", 0, 1e3), data, scale)
    assert again["figures"]["off_target"] == records["seed0-true-1000"]
    scarce = classification.run(Trial("true", 0, 1e3), data, replace(scale, edited=4))
    assert scarce["figures"]["off_target"] != records["seed0-true-1000"]

    shape = boxes.Scale(scale.size, 1, 1, (1e3,), widths=(8, 8, 8, 8))
    for mix in boxes.MIXES.values():
        found = boxes.run(Trial("true", 0, 1e3), data, shape, mix)
        hits = [found["figures"][f"v2@{each:g}"] for each in (0.3, 0.5, 0.7)]
        assert hits == sorted(hits, reverse=True)
        assert found["figures"]["v2"] == pytest.approx(np.mean(hits))
        assert len(found["samples"]["hit0.3"]) == len(found["samples"]["middle0.3"]) == 8


def test_the_middle_finds_what_is_in_the_middle_only():
    boxes_there = np.array([[12, 12, 28, 28], [0, 0, 12, 12], [10, 10, 30, 30]], float)
    hits = boxes.middle_hits(boxes_there, 40)
    # one threshold for all: at .7 only one of two sizes can be met
    assert hits.tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert boxes.middle_hits(boxes_there[1:2], 40).tolist() == [[False] * 3]


def test_who_acts_is_found_from_labels_of_sequences():
    rng = np.random.default_rng(0)
    scale = actors.Scale(train=192, test=48, epochs=4, seeds=1, weights=(0.001,), width=32)
    parts = [make_sequences(count, rng) for count in (scale.train, scale.test, scale.test)]
    found = actors.run(Trial("synthesis", 0), parts, scale)
    chance = 1 / 3 / len(ACTIONS)
    assert found["figures"]["ap"] > 2 * chance
    assert len(found["samples"]["hit"]) == 48 * 3 * len(ACTIONS)
    assert sum(found["samples"]["true"]) == 48
    guided = actors.run(Trial("true", 0, 0.001), parts, scale)
    assert guided["figures"] != found["figures"]


def test_both_sources_of_a_composite_are_ranked(tmp_path):
    images = both_sources.photographs(None, tmp_path / "none.npy", 48, 32)
    scale = both_sources.Scale(
        32, 32, 8, 8, epochs=1, seeds=1, weights=(1e3,), widths=(8, 8, 8, 8), batch=16
    )
    found = [
        both_sources.run(Trial(arm, 0, weight), images, scale)
        for arm, weight in (("no synthesis", 0.0), ("true", 1e3), ("full", 1e3))
    ]
    for each in found:
        assert len(each["samples"]["precision"]) == 4
        assert 0 < each["figures"]["precision"] <= 1
        assert 0 < each["figures"]["inside"] < 1
    assert len({json.dumps(each["figures"]) for each in found}) == 3
