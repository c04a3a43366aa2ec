"""What is compared with what in the table on Infomax, and what a term does to a map."""

from pathlib import Path
from types import SimpleNamespace

import infomax_blocks
import infomax_linear
import infomax_rows
import infomax_table
import numpy as np
import pytest
import torch
from torch.nn import functional

from attribution.evaluation.benchmark.cases import Case, Truth
from attribution.training.losses.information import ica, koleo, log_determinant

CASES = [
    Case(Path("query.png"), (Truth(str(number)),), ("a", "b")[number % 2]) for number in range(40)
]
ARMS = {arm for pair in infomax_table.COMPARED for arm in pair}


def found(values):
    precisions = dict.fromkeys(infomax_table.CONDITIONS, values.tolist())
    return infomax_table.Found(precisions, 10.0, 0.1, 0.9)


def test_a_constant_gain_is_found_of_every_run_and_is_equivalent_only_below_the_margin():
    rng = np.random.default_rng(0)
    gains = {"logdet": 0.03, "koleo": 0.004}
    bases = []
    for _ in range(2):
        runs = [rng.random(len(CASES)) for _ in range(3)]
        bases.append({arm: [found(run + gains.get(arm, 0.0)) for run in runs] for arm in ARMS})
        bases[-1]["cca"] = bases[-1]["cca"][:1]  # a closed form, against each run of the others
    table = infomax_table.summary(bases, CASES, draws=200)
    first, second = table["differences"][:2]
    assert first["mean"] == pytest.approx(0.03)
    assert first["low"] == pytest.approx(0.03)
    assert not first["equivalence"]["holds"]
    assert second["clean"] == pytest.approx(0.004)
    assert second["equivalence"]["holds"]
    assert "| logdet - none | +.030 |" in infomax_table.markdown(table)
    [crossed] = [d for d in table["differences"] if (d["first"], d["second"]) == ("cca", "none")]
    assert crossed["low"] < crossed["mean"] < crossed["high"]


def test_mixtures_are_of_two_held_out_images():
    sources = infomax_rows.mixture_sources()
    assert (sources[:, 0] != sources[:, 1]).all()
    assert sources.min() == infomax_rows.TRAINED_ON
    counts = torch.bincount(sources.flatten())[infomax_rows.TRAINED_ON :]
    assert counts.tolist() == [infomax_rows.DRAWS] * infomax_rows.HELD_OUT


def test_the_log_determinant_is_of_each_view_by_itself_and_of_the_last_batches():
    generator = torch.Generator().manual_seed(0)
    batches = functional.normalize(torch.randn(5, 2, 12, 4, generator=generator), dim=3)
    spread = infomax_linear.Spread("logdet", 4)
    for mild, strong in batches:
        found = spread((mild, strong))
    last = batches[-infomax_linear.BATCHES :]
    of_views = [log_determinant(last[:, view].reshape(-1, 4)) for view in range(2)]
    assert float(found) == pytest.approx(infomax_linear.BATCHES * float(sum(of_views)) / 2)


def test_ica_of_both_views_learns_one_unmixing_matrix():
    generator = torch.Generator().manual_seed(0)
    mild, strong = functional.normalize(torch.randn(2, 12, 4, generator=generator), dim=2)
    spread = infomax_linear.Spread("ica", 4)
    [unmixing] = spread.parameters()
    expected = (ica(mild, unmixing) + ica(strong, unmixing)) / 2
    found = spread((mild, strong))
    assert found.item() == pytest.approx(expected.item())
    found.backward()
    assert unmixing.grad.abs().max() > 0


def test_koleo_does_not_drive_two_views_of_an_image_apart():
    generator = torch.Generator().manual_seed(0)
    rows = functional.normalize(torch.randn(6, 4, generator=generator), dim=1)
    found = infomax_linear.Spread("koleo", 4)((rows, rows))
    assert float(found) == pytest.approx(float(koleo(rows)))


class Judged:
    """Blocks whose runs are judged by a rule."""

    base = SimpleNamespace(model_id="0123456789abcdef")

    def __init__(self, rule):
        self.rule, self.asked = rule, []

    def precision(self, config):
        self.asked.append(config)
        return self.rule(config)


def test_rate_is_chosen_by_contrast_alone_and_each_weight_at_that_rate(tmp_path):
    def rule(config):
        liked = {"none": 0.0, "logdet": 0.55, "ica": 30.0}[config.disentanglement]
        return -abs(config.disentanglement_weight - liked) - abs(config.learning_rate - 1e-3)

    first = Judged(rule)
    choice = infomax_blocks.Choice(tmp_path / "chosen.json", first)
    assert choice.rate == 1e-3
    assert choice.weights == {"none": 0.0, "logdet": 0.55, "ica": 30.0}
    assert {config.seed for config in first.asked} == {infomax_blocks.CHOOSING}
    alone = [config for config in first.asked if config.disentanglement == "none"]
    assert len(alone) == len(infomax_blocks.RATES)
    again = Judged(rule)
    assert infomax_blocks.Choice(tmp_path / "chosen.json", again).weights == choice.weights
    assert not again.asked
