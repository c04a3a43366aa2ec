import numpy as np
import pytest
import torch

from attribution.synthesis.recolouring import recoloured, recolouring


def colours(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn((3, 3), generator=generator) * 0.1
    return torch.einsum("ij,jhw->ihw", mixing, torch.randn((3, 20, 30), generator=generator))


def test_mean_and_covariance_become_those_of_the_reference():
    image, reference = colours(1) + 0.2, colours(2) - 0.1
    result = recoloured(image, *recolouring(image, reference)).flatten(1)
    wanted = reference.flatten(1)
    np.testing.assert_allclose(result.mean(dim=1), wanted.mean(dim=1), atol=1e-3, rtol=0)
    np.testing.assert_allclose(torch.cov(result), torch.cov(wanted), atol=3e-4, rtol=0)


def test_an_image_keeps_its_own_colours():
    image = colours(1)
    np.testing.assert_allclose(
        recoloured(image, *recolouring(image, image)), image, atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("value", [-1.0, 0.3])
def test_a_constant_image_takes_the_mean_colour(value):
    image, reference = torch.full((3, 4, 4), value), colours(2)
    result = recoloured(image, *recolouring(image, reference))
    np.testing.assert_allclose(result[:, 0, 0], reference.mean(dim=(1, 2)), atol=1e-3, rtol=0)
