"""The statistic of a decision in words: slow, one query at a time, by sorting lists."""

import math

import numpy as np


def slow_neighbourhood(scores, groups, reference):
    """Of ranks 3 to 50, a picture once."""
    held = [
        score for place, score in enumerate(scores) if np.isfinite(score) and groups[place] == place
    ]
    below = sorted(held, reverse=True)[1:]
    chosen = sorted([*below, *reference], reverse=True)[1:49]
    return np.mean(chosen), np.std(chosen)


def slow_reference(among):
    """Typical deviation, and how high each stands, of images outside any gallery."""
    ranked = [sorted(np.delete(row, place), reverse=True)[:49] for place, row in enumerate(among)]
    deviations = [np.std(row[2:]) for row in ranked]
    typical = np.median(deviations)
    return typical, sorted(
        (row[0] - np.mean(row[2:])) / (deviation + typical)
        for row, deviation in zip(ranked, deviations, strict=True)
    )


def slow_quantile(ordered, share):
    """On the line between the two that stand around it; NumPy's takes as long as all the rest."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def slow_tail(u, best):
    """Minus the log of the share that stands as high; beyond 80 % by an exponential."""
    upper = slow_quantile(best, 0.8)
    if u > upper:
        beyond = [each - upper for each in best if each > upper]
        return math.log(5) + (u - upper) / np.mean(beyond)
    share = [1 - (place + 0.5) / len(best) for place in range(len(best))]
    if u <= best[0]:
        return -math.log(share[0])
    place = next(place for place in range(len(best)) if best[place] >= u)
    part = (u - best[place - 1]) / (best[place] - best[place - 1])
    left = share[place - 1] + part * (share[place] - share[place - 1])
    return min(math.log(5), -math.log(left))


def slow_beside(parts, groups, reference, tails, explained):
    """As `slow_joined`, of each rank alone, with what is expected of it above the neighbours'."""
    found = []
    for row, expected in zip(parts, explained, strict=True):
        total = 0.0
        for place, (typical, best) in enumerate(tails):
            mean, deviation = slow_neighbourhood(
                parts[: len(groups), place], groups, reference[place]
            )
            beyond = row[place] - max(mean, expected[place])
            total += slow_tail(beyond / (deviation + typical), best)
        found.append(total)
    return found


def slow_joined(parts, groups, reference, tails, ranks=None):
    """Of the first ranks, by default all, of one query.

    `(k, parts)`, `(k,)`, `(parts, m)`, and `slow_reference` of each part.
    """
    found, smallest = [], math.inf
    hoods = [
        slow_neighbourhood(parts[: len(groups), place], groups, reference[place])
        for place in range(parts.shape[1])
    ]
    for row in parts[:ranks]:
        if not np.isfinite(row).all():
            found.append(-math.inf)
            continue
        total = sum(
            slow_tail((score - mean) / (deviation + typical), best)
            for score, (mean, deviation), (typical, best) in zip(row, hoods, tails, strict=True)
        )
        smallest = min(smallest, total)
        found.append(smallest)
    return found
