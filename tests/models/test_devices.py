"""A device that torch does not see is refused by name, before anything is loaded."""

import pytest

from models.devices import UnusableDevice, require_device
from models.loading import load_encoder


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_the_processor_is_always_there(name):
    require_device(name)


@pytest.mark.parametrize("name", ["tpu", "", "meta", "cuda:nine", "xla", "cuda:99"])
def test_what_is_not_there_is_named(name):
    with pytest.raises(UnusableDevice, match="give cpu") as caught:
        require_device(name)
    assert name in str(caught.value)


def test_an_encoder_is_not_loaded_for_it(tmp_path):
    with pytest.raises(UnusableDevice):
        load_encoder(str(tmp_path / "no encoder"), device="tpu")
