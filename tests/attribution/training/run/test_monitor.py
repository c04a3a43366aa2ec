"""Metrics on held-out images say what they should, repeat, and change nothing in the run."""

import builtins
import dataclasses
import json
import logging

import numpy as np
import pytest
import torch

from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.run import monitor as module
from attribution.training.run.journal import METRICS, TENSORBOARD, Journal
from attribution.training.run.monitor import Monitor, rank_sources, split
from attribution.training.run.trainer import Trainer
from models.backbones.residual import ResidualNet
from models.images.preprocessing import Preprocessing
from tests.support.runs import image_set

WIDTHS, BLOCKS = (8, 16, 16, 32), (0, 0, 0, 0)


def lines(folder):
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_the_last_images_are_held_out_but_never_more_than_a_tenth():
    images = image_set(200)
    training, held_out = split(images, 12)
    assert training.names + held_out.names == images.names
    assert held_out.names[0] == "188"
    assert held_out.pixels.data_ptr() == images.pixels[188].data_ptr()  # no copy
    assert len(split(images, 1000)[1]) == 20
    assert split(images, 0) == (images, None)
    assert split(image_set(79), 50)[1] is None  # seven would say nothing


def test_retrieval_is_measured_as_by_sorting():
    generator = torch.Generator().manual_seed(1)
    queries = torch.randn(9, 5, generator=generator)
    gallery = torch.randn(30, 5, generator=generator) * 3
    sources = torch.stack([torch.randperm(30, generator=generator)[:2] for _ in range(9)])
    precisions, hits = [], []
    for query, wanted in zip(queries, sources, strict=True):
        cosines = torch.nn.functional.cosine_similarity(query[None], gallery)
        order = cosines.argsort(descending=True).tolist()
        found = [row in wanted.tolist() for row in order]
        at = [sum(found[: k + 1]) / (k + 1) for k in range(30) if found[k]]
        precisions.append(sum(at) / 2)
        hits.append(found[0])
    precision, hit = rank_sources(queries, gallery, sources)
    assert precision == pytest.approx(np.mean(precisions))
    assert hit == pytest.approx(np.mean(hits))
    assert rank_sources(gallery, gallery, torch.arange(30)[:, None]) == (1.0, 1.0)


def test_metrics_repeat_and_tell_collapse_from_spread(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 10)
    torch.manual_seed(0)
    net = ResidualNet(WIDTHS, BLOCKS)
    watch = Monitor(image_set(25), 32, "cpu", 3, Preprocessing(32, 32))
    assert watch._sources.tolist()[8:10] == [[8, 0], [9, 10]]  # batches of 9, 8 and 8
    first = watch.measure(net)
    assert watch.measure(net) == first
    assert not net.training
    assert first.mean_average_precision > 0.3  # by chance about 0.1
    with torch.no_grad():
        for parameter in net.stages[-1][1].parameters():
            parameter.zero_()
        net.stages[-1][1].bias.fill_(1.0)  # every image alike
    collapsed = watch.measure(net)
    assert collapsed.alignment == pytest.approx(0, abs=1e-9)
    assert collapsed.uniformity == pytest.approx(0, abs=1e-9)
    assert collapsed.effective_rank < first.effective_rank
    assert collapsed.log_determinant < first.log_determinant


def test_what_frozen_blocks_make_is_computed_once_and_measured_alike(monkeypatch):
    torch.manual_seed(0)
    net = ResidualNet(WIDTHS, BLOCKS)
    images, shape = image_set(25), Preprocessing(32, 32)
    kept = Monitor(images, 32, "cpu", 3, shape, frozen=2)
    for _ in range(2):
        expected = dataclasses.astuple(Monitor(images, 32, "cpu", 3, shape).measure(net))
        assert dataclasses.astuple(kept.measure(net)) == pytest.approx(expected, rel=1e-4)
        with torch.no_grad():
            for parameter in net.stages[-1].parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        monkeypatch.setattr(kept, "_views", None)  # from here on they are not drawn again


def test_a_run_is_watched_without_being_changed(tmp_path):
    tiny = TrainingConfig(
        widths=WIDTHS,
        blocks=BLOCKS,
        image_side=48,
        batch=16,
        stages=(ResolutionStage(size=32, steps=5),),
        warmup=1,
        projection=16,
        held_out=8,
        monitor_every=2,
        checkpoint_every=1,
    )
    reports = []
    watched = Trainer(tiny, image_set(80), tmp_path / "watched")
    assert (len(watched.images), watched.held_out) == (72, 8)
    net = watched.run(reports.append)
    blind = Trainer(
        tiny.model_copy(update={"held_out": 0}), split(image_set(80), 8)[0], tmp_path / "blind"
    ).run()
    for name, value in net.state_dict().items():
        assert torch.equal(value, blind.state_dict()[name])
    assert [report.step for report in reports if report.held_out is not None] == [2, 4, 5]
    kept = lines(tmp_path / "watched")
    assert [line["step"] for line in kept] == [2, 4, 5]
    assert kept[-1]["held_out/hit_at_1"] == reports[-1].held_out.hit_at_1
    assert kept[0]["train/loss"] == pytest.approx((reports[0].loss + reports[1].loss) / 2)
    assert "train/structure mixed" in kept[0]
    assert "held_out/alignment" not in lines(tmp_path / "blind")[0]


def test_a_resumed_run_drops_the_lines_of_steps_it_lost(tmp_path):
    journal = Journal(tmp_path, 0)
    for step in (2, 4, 6):
        journal.write(step, {"train/loss": float(step)})
    journal.close()
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 8, "train/l')
    Journal(tmp_path, 4).close()  # a finished run stays as it is
    assert (tmp_path / METRICS).read_text().endswith("/l")
    journal = Journal(tmp_path, 4)
    journal.write(6, {"train/loss": 7.0})
    journal.close()
    assert [(line["step"], line["train/loss"]) for line in lines(tmp_path)] == [
        (2, 2.0),
        (4, 4.0),
        (6, 7.0),
    ]


def test_tensorboard_shows_the_same_numbers(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    journal = Journal(tmp_path, 0)
    journal.add({"train/loss": 1.0})
    journal.add({"train/loss": 2.0})
    journal.write(2, {"held_out/alignment": 0.25})
    journal.close()
    [path] = (tmp_path / TENSORBOARD).iterdir()
    found = {
        (value.tag, event.step, value.tensor.float_val[0])
        for event in loader.EventFileLoader(str(path)).Load()
        for value in event.summary.value
    }
    assert found == {("train/loss", 2, 1.5), ("held_out/alignment", 2, 0.25)}


def test_without_tensorboard_the_lines_remain(tmp_path, monkeypatch, caplog):
    genuine = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name == "torch.utils.tensorboard":
            raise ImportError(name)
        return genuine(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with caplog.at_level(logging.WARNING):
        Journal(tmp_path, 0).write(1, {"train/loss": 1.0})
    assert lines(tmp_path) == [{"step": 1, "train/loss": 1.0}]
    assert "attribution[train]" in caplog.text
