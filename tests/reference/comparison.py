"""Plain implementations of similarity and matching of groups: all pixels, all matchings."""

from itertools import permutations


def jaccard(one, other):
    return len(one & other) / len(one | other)


def pixels(crops, width, height):
    """(picture, x, y) → weight: every crop has weight 1, spread over its pixels; normalised to 1."""
    found = {}
    for picture, (left, top, right, bottom) in crops:
        area = (right - left) * (bottom - top)
        for x in range(left, right):
            for y in range(top, bottom):
                place = picture, x, y
                found[place] = found.get(place, 0) + 1 / area / len(crops)
    return found


def overlap(one, other):
    places = one.keys() | other.keys()
    smaller = sum(min(one.get(p, 0), other.get(p, 0)) for p in places)
    larger = sum(max(one.get(p, 0), other.get(p, 0)) for p in places)
    return smaller / larger


def best_sum(table, threshold):
    """Largest sum of any one-to-one matching; pairs below the threshold count 0."""
    rows, columns = len(table), len(table[0])
    if rows > columns:
        return best_sum([list(column) for column in zip(*table, strict=True)], threshold)
    return max(
        sum(table[i][j] if table[i][j] >= threshold else 0 for i, j in enumerate(choice))
        for choice in permutations(range(columns), rows)
    )


def best_of_deals(groups, others):
    """Mean, over all permutations of the other neurons, of the best Jaccard index of each group."""
    pool = [a for group in others for a in group]
    sums, orders = [0.0] * len(groups), 0
    for order in permutations(pool):
        dealt, rest = [], list(order)
        for group in others:
            dealt.append(set(rest[: len(group)]))
            rest = rest[len(group) :]
        sums = [
            total + max(jaccard(set(group), d) for d in dealt)
            for total, group in zip(sums, groups, strict=True)
        ]
        orders += 1
    return [total / orders for total in sums]
