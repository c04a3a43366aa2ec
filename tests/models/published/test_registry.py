"""Names against timm's own facts, loading by name, and what a machine without internet is told."""

import importlib
import logging
import socket
import threading
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from models.backbones.vit import VisionTransformer
from models.published import registry, timm_hub
from models.published.layouts import LayoutMismatch
from models.published.registry import UnknownBackbone, WeightsUnavailable
from models.published.specs import PUBLISHED

NAMES = {
    *("dino-vits16", "dino-vits8", "dino-vitb16", "dino-vitb8", "dino-resnet50"),
    *("dinov2-vits14", "dinov2-vitb14", "dinov2-vitl14"),
    *("dinov2-vits14-reg", "dinov2-vitb14-reg", "dinov2-vitl14-reg"),
    *("dinov3-vits16", "dinov3-vitb16", "dinov3-vitl16"),
    *("mocov2-resnet50", "mocov3-resnet50", "mocov3-vits16", "mocov3-vitb16"),
    *("sscd-resnet50", "sscd"),
}
SPECS = [registry.spec(name) for name in PUBLISHED]
ON_HUB = [spec for spec in SPECS if spec.timm_name is not None]


@pytest.fixture(scope="module")
def timm():
    """Takes seconds to import, which every process that collects tests would spend."""
    return importlib.import_module("timm")


def test_the_names():
    assert set(PUBLISHED) == NAMES
    assert len(PUBLISHED) == len(NAMES)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_facts_are_complete(timm, spec):
    assert timm.is_model(spec.architecture)
    if spec.package is None:
        assert spec.official_file in spec.how_to()
        assert spec.repository in spec.how_to()
    assert (spec.licence_notice is None) == spec.licence.startswith(("Apache-2.0", "MIT"))


@pytest.mark.parametrize("spec", ON_HUB, ids=lambda spec: spec.name)
def test_timm_publishes_what_the_names_say(timm, spec):
    assert spec.timm_name in timm.list_pretrained()
    published = timm.get_pretrained_cfg(spec.timm_name)
    assert published.hf_hub_id == f"timm/{spec.timm_name}"
    assert published.license == spec.licence.lower().replace(" license", "-license")
    assert published.mean == spec.preprocessing.mean
    assert published.std == spec.preprocessing.std


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_networks_have_the_declared_dimension_and_take_the_declared_size(timm, spec):
    with torch.device("meta"):
        network = timm.create_model(spec.architecture, num_classes=0, **spec.options)
    width = 512 if "sscd" in spec.layouts else network.num_features  # it ends with a linear map
    assert spec.dimension == width
    patch = 32 if spec.architecture == "resnet50" else network.patch_embed.patch_size[0]
    assert spec.preprocessing.height % patch == spec.preprocessing.width % patch == 0


def test_a_mistyped_name_gets_near_ones():
    with pytest.raises(UnknownBackbone, match=r"did you mean .*dinov2-vits14"):
        registry.spec("dinov2_vits14")


def test_a_hopeless_name_gets_all():
    with pytest.raises(UnknownBackbone, match=r"choose one of dino-vits16.*mocov3-resnet50"):
        registry.build("?")


@pytest.fixture
def shallow(monkeypatch):
    """Two blocks instead of twelve behind the name dino-vits16: as telling, and fast."""
    spec = replace(registry.spec("dino-vits16"), options={"depth": 2})
    monkeypatch.setattr(registry, "PUBLISHED", {**registry.PUBLISHED, spec.name: spec})


@pytest.fixture
def original():
    torch.manual_seed(0)
    return VisionTransformer("vit_small_patch16_224", depth=2).eval()


@pytest.mark.usefixtures("shallow")
class TestFromFile:
    def test_builds_by_name_in_evaluation_mode(self, tmp_path, original):
        path = tmp_path / "dino_deitsmall16_pretrain.pth"
        torch.save(original.network.state_dict(), path)
        backbone = registry.build("dino-vits16", weights=path)
        images = torch.randn(1, 3, 64, 64)
        assert not backbone.training
        with torch.inference_mode():
            assert torch.equal(backbone(images).pooled, original(images).pooled)

    def test_a_file_of_another_family_names_the_encoder(self, tmp_path, original):
        path = tmp_path / "vit-s-300ep.pth.tar"
        state = original.network.state_dict()
        renamed = {f"module.base_encoder.{name}": value for name, value in state.items()}
        torch.save({"state_dict": renamed}, path)
        with pytest.raises(LayoutMismatch, match=r"dino-vits16: .*mocov3"):
            registry.build("dino-vits16", weights=path)

    def test_official_encoders_say_which_file_they_need(self):
        with pytest.raises(WeightsUnavailable) as unavailable:
            registry.build("mocov3-vits16")
        message = str(unavailable.value)
        assert "vit-s-300ep.pth.tar" in message
        assert "facebookresearch/moco-v3" in message


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a download needs: one file, its ETag and its commit."""

    content = b""
    requests: ClassVar[list[str]] = []

    def do_HEAD(self):
        self.requests.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.send_header("ETag", f'"{sha256(self.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, *args):
        """Stay silent."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "hub-cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return folder


@pytest.fixture
def hub_at(monkeypatch):
    def use(port):
        address = f"http://127.0.0.1:{port}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        monkeypatch.setattr(
            huggingface_hub.constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )

    return use


@pytest.fixture
def listening_socket():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


class TestOffline:
    @pytest.fixture(autouse=True)
    def _no_download_begins(self, monkeypatch):
        """The hub's own client, which retries for minutes, is asked for what is cached alone."""
        cached = timm_hub.hf_hub_download

        def local(*asked, local_files_only=False):
            assert local_files_only
            return cached(*asked, local_files_only=True)

        monkeypatch.setattr(timm_hub, "hf_hub_download", local)

    def expect_advice(self, name="dino-vits16"):
        with pytest.raises(WeightsUnavailable) as unavailable:
            registry.build(name)
        assert unavailable.value.__cause__ is None
        assert unavailable.value.__suppress_context__
        return str(unavailable.value)

    def test_a_refused_connection_says_how_to_provide_the_file(
        self, cache, hub_at, listening_socket
    ):
        hub_at(listening_socket.getsockname()[1])
        listening_socket.close()
        message = self.expect_advice()
        assert "dino_deitsmall16_pretrain.pth" in message
        assert "facebookresearch/dino\n" in message
        assert "timm/vit_small_patch16_224.dino" in message
        assert "ATTRIBUTION_ENCODER=dino-vits16 ATTRIBUTION_ENCODER_WEIGHTS=PATH" in message
        assert 'load_encoder("dino-vits16", weights=Path("PATH"))' in message

    def test_a_host_that_never_answers_is_given_up_soon(
        self, cache, hub_at, listening_socket, monkeypatch
    ):
        assert timm_hub._PROBE_SECONDS < 5
        monkeypatch.setattr(timm_hub, "_PROBE_SECONDS", 0.5)
        hub_at(listening_socket.getsockname()[1])
        assert "cannot be reached" in self.expect_advice()

    def test_forbidden_downloads_are_not_tried(self, cache, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        assert "HF_HUB_OFFLINE" in self.expect_advice()

    def test_the_licence_is_shown_before_the_download(self, cache, monkeypatch, caplog):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with caplog.at_level(logging.WARNING, logger="models.published.registry"):
            self.expect_advice("dinov3-vits16")
        assert "DINOv3 License" in caplog.text
        assert "https://" in caplog.text


@pytest.mark.usefixtures("shallow", "cache")
def test_first_use_downloads_and_the_second_needs_no_network(
    tmp_path, hub_at, monkeypatch, original
):
    save_file(original.network.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(Hub, "content", (tmp_path / "model.safetensors").read_bytes())
    monkeypatch.setattr(Hub, "requests", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        hub_at(server.server_port)
        first = registry.build("dino-vits16")
        asked = len(Hub.requests)
        server.shutdown()
        thread.join()
    second = registry.build("dino-vits16")
    assert asked == len(Hub.requests) > 0
    assert all("timm/vit_small_patch16_224.dino" in request for request in Hub.requests)
    for backbone in (first, second):
        assert torch.equal(backbone.network.norm.bias, original.network.norm.bias)
        assert torch.equal(backbone.network.cls_token, original.network.cls_token)
