import math
from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from attribution.synthesis.context.independence import independence


def information(first, second):
    """Slowly, by its definition."""
    count, pairs = len(first), Counter(zip(first, second, strict=True))
    a, b = Counter(first), Counter(second)
    return sum(
        n / count * math.log(n * count / (a[one] * b[other])) for (one, other), n in pairs.items()
    )


def test_information_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    first = rng.integers(5, size=60).tolist()
    second = [f"{value * 7 % 3 or rng.integers(4)}" for value in first]
    found = independence(first, second, permutations=0)
    assert found.information == pytest.approx(information(first, second))


def test_the_p_value_is_near_that_of_all_permutations():
    first, second = list("aaabbbc"), list("xxyyyyx")
    own = information(first, second)
    every = [information(first, order) >= own - 1e-9 for order in permutations(second)]
    found = independence(first, second, permutations=4000)
    assert found.p_value == pytest.approx(sum(every) / len(every), abs=0.03)


def test_p_values_of_independent_labels_are_uniform_though_the_information_is_biased():
    rng = np.random.default_rng(1)
    found = []
    for trial in range(200):
        first, second = np.repeat(range(10), 5).tolist(), rng.integers(8, size=50).tolist()
        found.append(independence(first, second, permutations=99, seed=trial))
    assert np.mean([each.information for each in found]) > 0.5
    assert np.mean([each.information - each.expected for each in found]) == pytest.approx(
        0, abs=0.02
    )
    # 200 trials of a tenth: between 7 and 34 with 99.9 % probability.
    assert 7 <= sum(each.p_value <= 0.1 for each in found) <= 34


def test_labels_that_go_together_are_found_out():
    first = np.repeat(range(4), 10).tolist()
    assert independence(first, first).p_value == 0.001
    assert independence(first, first).information == pytest.approx(math.log(4))
    assert independence(first, [0] * 40).p_value == 1


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [1, 2])])
def test_labels_of_different_things_are_refused(first, second):
    with pytest.raises(ValueError, match="as many labels"):
        independence(first, second)
