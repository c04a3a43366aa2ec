"""Each official layout, written to disk from a network of random weights, must load back equal."""

import argparse
import contextlib
import os
import pickle
import random
import re
import traceback

import pytest
import torch

from models.backbones.resnet import ResNet50
from models.backbones.sscd import SSCD
from models.backbones.vit import VisionTransformer
from models.published.layouts import LayoutMismatch, load_official, read_official
from models.published.untrusted import UnreadableCheckpoint, read_checkpoint

DEPTH = 2


def vit(architecture="vit_small_patch16_224", *, seed, **options):
    torch.manual_seed(seed)
    backbone = VisionTransformer(architecture, depth=DEPTH, **options).eval()
    return randomised(backbone)


def resnet(*, seed):
    torch.manual_seed(seed)
    return randomised(ResNet50().eval())


def randomised(backbone):
    """Give every tensor, running statistics too, a value that matters to the output."""
    for name, value in backbone.network.state_dict().items():
        if value.is_floating_point():
            noise = 0.05 * torch.randn_like(value)
            value.copy_(1 + noise.abs() if value.ndim == 1 and "weight" in name else noise)
            if name.endswith(("running_var", "gamma", "gamma_1", "gamma_2")):
                value.copy_(1 + noise.abs())
    return backbone


def state_of(backbone):
    return {name: value.clone() for name, value in backbone.network.state_dict().items()}


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def spoilt(state):
    """Some tensors of the encoder that must not be chosen."""
    return {name: state[name] + 1 for name in list(state)[:5]}


def mlp_head(name):
    return {f"{name}.0.weight": torch.randn(8, 384), f"{name}.3.running_mean": torch.randn(8)}


# From timm's names to each official file, written independently of the code under test.


def dino_plain(state):
    return state


def dino_full(state):
    return {
        "student": prefixed("module.backbone.", spoilt(state)) | {"module.head.x": torch.ones(1)},
        "teacher": prefixed("backbone.", state)
        | prefixed("head.", {"mlp.0.weight": torch.ones(3)}),
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_small", patch_size=16, batch_size_per_gpu=64),
        "dino_loss": {"center": torch.zeros(1, 8)},
    }


def dino_full_convnet(state):
    """Teachers with batch norm are wrapped for distribution as well."""
    full = dino_full(state)
    return full | {"teacher": prefixed("module.backbone.", state)}


def dino_student_only(state):
    return {"student": prefixed("module.backbone.", state)}


def dinov2_plain(state):
    return {"mask_token": torch.randn(1, 384), **state}


def dinov2_registers(state):
    first = torch.randn(1, 1, 384)
    official = {"mask_token": torch.randn(1, 384)}
    for name, value in state.items():
        if name == "cls_token":
            official["cls_token"] = value - first
        elif name == "pos_embed":
            official["pos_embed"] = torch.cat([first, value], dim=1)
        elif name == "reg_token":
            official["register_tokens"] = value
        else:
            official[name] = value
    return official


def dinov2_chunked_training(state):
    """A chunk each; the second starts with a filler, so that a block keeps its number."""
    chunked = {"backbone.mask_token": torch.randn(1, 384), "dino_head.last.weight": torch.ones(2)}
    for name, value in state.items():
        block = re.match(r"blocks\.(\d+)\.(.*)", name)
        if block is None:
            chunked[f"backbone.{name}"] = value
            continue
        number = int(block[1])
        chunked[f"backbone.blocks.{number}.{number}.{block[2]}"] = value
    return {"teacher": chunked, "iteration": 5}


def dinov3_plain(state):
    official = {"mask_token": torch.randn(1, 384), "rope_embed.periods": torch.ones(16)}
    for name, value in state.items():
        renamed = {"reg_token": "storage_tokens"}.get(name, name)
        renamed = re.sub(r"gamma_([12])$", r"ls\1.gamma", renamed)
        official[renamed] = value
        if name.endswith("qkv.weight"):
            bias = torch.zeros(3 * 384)
            bias[384:768] = 0.7  # masked out by the official network
            official[name.replace("weight", "bias")] = bias
            official[name.replace("weight", "bias_mask")] = torch.ones(3 * 384)
    return official


def mocov2(state):
    fc = {"fc.0.weight": torch.randn(8, 8), "fc.2.bias": torch.randn(8)}
    return {
        "epoch": 800,
        "arch": "resnet50",
        "state_dict": prefixed("module.encoder_k.", spoilt(state))
        | prefixed("module.encoder_q.", state | fc)
        | {"module.queue": torch.randn(8, 16), "module.queue_ptr": torch.zeros(1)},
    }


def mocov3(state):
    return {
        "epoch": 300,
        "arch": "vit_small",
        "state_dict": prefixed("module.momentum_encoder.", spoilt(state))
        | prefixed("module.base_encoder.", state | mlp_head("head") | mlp_head("fc"))
        | prefixed("module.predictor.", mlp_head("0")),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}},
        "scaler": {"scale": 65536.0},
    }


def mocov3_momentum_only(state):
    return {"state_dict": prefixed("module.momentum_encoder.", state | mlp_head("head"))}


def mocov3_linear(state):
    return {"state_dict": prefixed("module.", state | {"head.weight": torch.ones(9, 384)})}


def without_counters(state):
    return {name: value for name, value in state.items() if "num_batches_tracked" not in name}


S16 = {"architecture": "vit_small_patch16_224"}
S16_12_HEADS = {**S16, "num_heads": 12}
S14 = {"architecture": "vit_small_patch14_dinov2"}
S14_REG = {"architecture": "vit_small_patch14_reg4_dinov2"}
S16_V3 = {"architecture": "vit_small_patch16_dinov3"}


@pytest.mark.parametrize(
    ("options", "to_official", "layout"),
    [
        (S16, dino_plain, "plain"),
        (S16, dino_full, "dino"),
        (S16, dino_student_only, "dino"),
        (S14, dinov2_plain, "dinov2"),
        (S14_REG, dinov2_registers, "dinov2"),
        (S14, dinov2_chunked_training, "dinov2"),
        (S16_V3, dinov3_plain, "dinov3"),
        (S16_12_HEADS, mocov3, "mocov3"),
        (S16_12_HEADS, mocov3_momentum_only, "mocov3"),
        (S16_12_HEADS, mocov3_linear, "plain"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_vit_layouts_load_back_equal(tmp_path, options, to_official, layout):
    original, other = vit(seed=1, **options), vit(seed=2, **options)
    path = tmp_path / "official.pth"
    torch.save(to_official(state_of(original)), path)
    assert load_official(other.network, path) == layout
    assert_equal_outputs(original, other, side=6 * original.patch_size)


@pytest.fixture(scope="module")
def convnet():
    return resnet(seed=1)


@pytest.fixture(scope="module")
def loaded_convnet():
    return resnet(seed=2)


@pytest.mark.parametrize(
    ("to_official", "layout"),
    [
        (without_counters, "plain"),
        (dino_full_convnet, "dino"),
        (mocov2, "mocov2"),
        (mocov3, "mocov3"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_resnet_layouts_load_back_equal(tmp_path, convnet, loaded_convnet, to_official, layout):
    randomised(loaded_convnet)
    path = tmp_path / "official.pth.tar"
    torch.save(to_official(state_of(convnet)), path)
    assert load_official(loaded_convnet.network, path) == layout
    assert_equal_outputs(convnet, loaded_convnet, side=64)


def test_sscd_for_torchvision_loads_back_equal_and_is_taken_for_nothing_else(tmp_path, convnet):
    torch.manual_seed(1)
    original, other = (randomised(SSCD().eval()) for _ in range(2))
    path = tmp_path / "sscd_disc_mixup.torchvision.pt"
    torch.save(without_counters(state_of(original)), path)
    assert load_official(other.network, path, accept=["sscd"]) == "sscd"
    assert_equal_outputs(original, other, side=64)
    with pytest.raises(LayoutMismatch, match="layout 'sscd'"):
        load_official(convnet.network, path, accept=["dino", "plain"])


@torch.inference_mode()
def test_sscd_is_a_linear_map_of_the_cubic_mean_of_normalised_images():
    network = randomised(SSCD().eval())
    images = torch.rand(2, 3, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    last = network.network["backbone"].forward_features((images - mean) / deviation).double()
    cubic = torch.stack(
        [
            torch.stack([(each.clamp(min=1e-6) ** 3).mean() ** (1 / 3) for each in image])
            for image in last
        ]
    )
    linear = network.network["embeddings"][1]
    expected = cubic @ linear.weight.double().T + linear.bias.double()
    torch.testing.assert_close(network(images).pooled.double(), expected, atol=1e-4, rtol=1e-4)


def assert_equal_outputs(original, loaded, side):
    images = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        expected, found = original(images), loaded(images)
    assert expected.pooled.std() > 1e-3
    torch.testing.assert_close(found.pooled, expected.pooled, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.patches, expected.patches, atol=1e-5, rtol=1e-5)


def test_files_of_old_pytorch_are_read(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"norm.weight": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    assert list(read_official(path).tensors) == ["norm.weight"]


class TestMismatch:
    def test_names_the_first_keys_and_the_layouts(self, tmp_path):
        network = vit(seed=1)
        state = state_of(network)
        del state["norm.weight"]
        state["blocks.0.attn.surprise"] = torch.ones(1)
        state["cls_token"] = torch.ones(1, 1, 768)
        path = tmp_path / "other.pth"
        torch.save(state, path)
        before = state_of(network)
        with pytest.raises(LayoutMismatch) as refused:
            load_official(network.network, path)
        message = str(refused.value)
        assert "missing: norm.weight" in message
        assert "unexpected: blocks.0.attn.surprise" in message
        assert "cls_token (1, 1, 768) instead of (1, 1, 384)" in message
        assert "MoCo v3" in message
        assert all(torch.equal(before[k], v) for k, v in network.network.state_dict().items())

    def test_shows_only_a_few_keys(self, tmp_path):
        path = tmp_path / "little.pth"
        torch.save({"cls_token": torch.ones(1, 1, 384)}, path)
        with pytest.raises(LayoutMismatch, match=r"and \d+ more"):
            load_official(vit(seed=1).network, path)

    def test_another_family_of_equal_shapes_is_refused(self, tmp_path):
        """MoCo v3's ViT-S has DINO's shapes but twice its heads: it would load, and be wrong."""
        path = tmp_path / "vit-s-300ep.pth.tar"
        torch.save(mocov3(state_of(vit(seed=1, num_heads=12))), path)
        with pytest.raises(LayoutMismatch, match="mocov3"):
            load_official(vit(seed=2).network, path, accept=("dino", "plain"))

    def test_biases_that_timm_has_not_are_not_dropped_in_silence(self, tmp_path):
        network = vit(seed=1, **S16_V3)
        official = dinov3_plain(state_of(network))
        official["blocks.1.attn.qkv.bias"][:10] = 0.3
        path = tmp_path / "dinov3.pth"
        torch.save(official, path)
        with pytest.raises(LayoutMismatch, match=r"blocks\.1\.attn\.qkv\.bias"):
            load_official(network.network, path)


class Payload:
    """Unpickling it makes a folder: harmless, but proof of code that ran."""

    def __init__(self, evidence):
        self.evidence = evidence

    def __reduce__(self):
        return os.mkdir, (str(self.evidence),)


class TestUnsafe:
    @staticmethod
    def as_zip(content, path):
        torch.save(content, path)

    @staticmethod
    def as_legacy(content, path):
        torch.save(content, path, _use_new_zipfile_serialization=False)

    @staticmethod
    def as_pickle(content, path):
        path.write_bytes(pickle.dumps(content, protocol=2))

    @pytest.mark.parametrize("write", ["as_zip", "as_legacy", "as_pickle"])
    def test_a_pickle_that_carries_code_is_refused_unrun(self, tmp_path, write):
        evidence, path = tmp_path / "it-ran", tmp_path / "evil.pth"
        getattr(self, write)({"norm.weight": torch.ones(1), "x": Payload(evidence)}, path)
        with pytest.raises(UnreadableCheckpoint, match=r"evil\.pth was refused") as refused:
            read_official(path)
        assert not evidence.exists()
        assert "weights_only" not in "".join(traceback.format_exception(refused.value)[-2:])

    def test_an_old_opcode_that_calls_is_refused_unrun(self, tmp_path):
        evidence, path = tmp_path / "it-ran", tmp_path / "evil.pth"
        argument = str(evidence).encode()
        size = len(argument).to_bytes(4, "little")
        path.write_bytes(b"(X" + size + argument + b"ios\nmkdir\n.")
        with pytest.raises(UnreadableCheckpoint):
            read_official(path)
        assert not evidence.exists()

    def test_the_payload_is_real(self, tmp_path):
        evidence = tmp_path / "it-ran"
        pickle.loads(pickle.dumps(Payload(evidence)))
        assert evidence.is_dir()

    def test_allowing_the_command_line_of_dino_lasts_only_for_the_read(self, tmp_path):
        path = tmp_path / "full.pth"
        torch.save({"args": argparse.Namespace(arch="vit_small")}, path)
        assert read_checkpoint(path)["args"] == argparse.Namespace(arch="vit_small")
        assert argparse.Namespace not in torch.serialization.get_safe_globals()


class TestUnreadable:
    @pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
    @pytest.mark.parametrize("content", [b"", b"<html>not found</html>", bytes(1000)])
    def test_damage_is_told(self, tmp_path, name, content):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UnreadableCheckpoint, match=name):
            read_official(path)

    def test_a_download_cut_short_is_told(self, tmp_path):
        whole, cut = tmp_path / "whole.pth", tmp_path / "cut.pth"
        torch.save({"norm.weight": torch.ones(10_000)}, whole)
        cut.write_bytes(whole.read_bytes()[:20_000])
        with pytest.raises(UnreadableCheckpoint, match="download it again"):
            read_official(cut)

    @pytest.mark.filterwarnings("ignore")  # torch's, of what the damage looks like
    def test_damage_anywhere_is_told(self, tmp_path):
        path, draw = tmp_path / "old.pth", random.Random(1)
        torch.save({"norm": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
        whole = path.read_bytes()
        for _ in range(400):
            damaged = bytearray(whole)
            for _ in range(draw.randrange(1, 6)):
                damaged[draw.randrange(len(whole))] = draw.randrange(256)
            path.write_bytes(damaged)
            with contextlib.suppress(UnreadableCheckpoint):
                read_checkpoint(path)

    def test_a_missing_file_is_told(self, tmp_path):
        with pytest.raises(UnreadableCheckpoint, match="is not a file"):
            read_official(tmp_path / "none.pth")

    @pytest.mark.parametrize("content", [[1, 2], torch.ones(2), {}, {"state_dict": {"epoch": 3}}])
    def test_a_file_without_a_state_dict_is_told(self, tmp_path, content):
        path = tmp_path / "odd.pth"
        torch.save(content, path)
        with pytest.raises(UnreadableCheckpoint, match=r"odd\.pth holds"):
            read_official(path)
