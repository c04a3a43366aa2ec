"""The batcher: joins what waits, isolates failures, never dies, always answers."""

import threading

import numpy as np
import pytest
import torch

from app.inference.batcher import Batcher, BatcherClosedError
from app.inference.forward_pass import InferenceError
from tests.support.waiting import PATIENCE

POISON = 13.0
NAN = 14.0


class Fake:
    """Sums pixels; can be held up, and fails on a batch that holds POISON."""

    def __init__(self):
        self.batches = []
        self.free = threading.Event()
        self.free.set()
        self.busy = threading.Event()

    def embed(self, batch, *, domain):
        self.busy.set()
        assert self.free.wait(PATIENCE)
        self.batches.append((len(batch), domain))
        values = batch.numpy().reshape(len(batch), -1)[:, :1]
        if (values == POISON).any():
            raise RuntimeError("poison")
        return np.where(values == NAN, np.nan, values).astype(np.float32)

    def embed_patches(self, batch):
        rows = self.embed(batch, domain=None)
        return np.broadcast_to(rows[:, None, None], (len(batch), 2, 2, 1))


def image(value, side=2):
    return torch.full((3, side, side), float(value))


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def batcher(fake):
    made = Batcher(fake, max_batch=4)
    yield made
    fake.free.set()
    made.close()


def hold(fake, batcher):
    """Keep the thread busy with one image, so that what follows has to wait."""
    fake.free.clear()
    fake.busy.clear()
    first = batcher.submit(image(0), "query")
    assert fake.busy.wait(PATIENCE)
    return first


def test_what_waits_shares_a_forward_pass_up_to_the_limit(fake, batcher):
    hold(fake, batcher)
    waiting = [batcher.submit(image(value), "query") for value in range(1, 7)]
    fake.free.set()
    assert [future.result(PATIENCE).embedding[0] for future in waiting] == [1, 2, 3, 4, 5, 6]
    assert fake.batches == [(1, "query"), (4, "query"), (2, "query")]


def test_other_domains_and_shapes_do_not_share_a_pass(fake, batcher):
    hold(fake, batcher)
    waiting = [
        batcher.submit(image(1), "query"),
        batcher.submit(image(2), "source"),
        batcher.submit(image(3, side=3), "source"),
    ]
    fake.free.set()
    assert [future.result(PATIENCE).embedding[0] for future in waiting] == [1, 2, 3]
    assert [size for size, _ in fake.batches] == [1, 1, 1, 1]


@pytest.mark.parametrize("bad", [POISON, NAN])
def test_a_poison_image_fails_alone_and_the_thread_lives(fake, batcher, bad):
    hold(fake, batcher)
    waiting = [batcher.submit(image(value), "query") for value in (1, bad, 3)]
    fake.free.set()
    assert waiting[0].result(PATIENCE).embedding[0] == 1
    assert waiting[2].result(PATIENCE).embedding[0] == 3
    with pytest.raises(InferenceError):
        waiting[1].result(PATIENCE)
    assert batcher.alive
    assert batcher.submit(image(5), "query").result(PATIENCE).embedding[0] == 5


def test_cancelled_work_is_dropped(fake, batcher):
    hold(fake, batcher)
    kept, dropped = batcher.submit(image(1), "query"), batcher.submit(image(2), "query")
    assert dropped.cancel()
    fake.free.set()
    assert kept.result(PATIENCE).embedding[0] == 1
    assert fake.batches == [(1, "query"), (1, "query")]


def test_close_finishes_what_waits_and_then_refuses(fake, batcher):
    first = hold(fake, batcher)
    waiting = [batcher.submit(image(value), "query") for value in range(6)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    fake.free.set()
    closing.join(PATIENCE)
    assert all(future.done() and not future.exception() for future in [first, *waiting])
    assert not batcher.alive
    with pytest.raises(BatcherClosedError):
        batcher.submit(image(1), "query")
    batcher.close()


def test_the_time_in_the_queue_is_told(fake, batcher):
    hold(fake, batcher)
    waiting = batcher.submit(image(1), "query")
    threading.Timer(0.05, fake.free.set).start()
    assert waiting.result(PATIENCE).queue_seconds >= 0.04


def test_patch_maps_wait_for_embeddings_and_share_passes_among_themselves(fake, batcher):
    hold(fake, batcher)
    maps = [batcher.submit_patches(image(value)) for value in (1, 2)]
    rows = [batcher.submit(image(value), "query") for value in (3, 4)]
    fake.free.set()
    assert [future.result(PATIENCE).embedding[0] for future in rows] == [3, 4]
    assert [future.result(PATIENCE).embedding.shape for future in maps] == [(2, 2, 1)] * 2
    assert [future.result(PATIENCE).embedding[0, 0, 0] for future in maps] == [1, 2]
    assert fake.batches[1:] == [(2, "query"), (2, None)]


def test_variants_of_a_query_wait_for_whoever_wants_an_answer(fake, batcher):
    hold(fake, batcher)
    variants = [batcher.submit_variant(image(value)) for value in (1, 2, 5)]
    rows = [batcher.submit(image(value), "query") for value in (3, 4)]
    fake.free.set()
    assert [future.result(PATIENCE).embedding[0] for future in (*rows, *variants)] == [
        3,
        4,
        1,
        2,
        5,
    ]
    assert fake.batches[1:] == [(2, "query"), (3, "query")]


def test_patch_maps_that_wait_at_close_are_still_made(fake, batcher):
    hold(fake, batcher)
    waiting = batcher.submit_patches(image(7))
    fake.free.set()
    batcher.close()
    assert waiting.result(0).embedding[0, 0, 0] == 7
    with pytest.raises(BatcherClosedError):
        batcher.submit_patches(image(1))
