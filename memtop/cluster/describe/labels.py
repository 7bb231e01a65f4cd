"""Labels, annotations, selectors, taints and tolerations, one below the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memtop.cluster.tree import Json, labels, mapping, number, objects, text, texts

NONE = "<none>"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LONGEST_ANNOTATION = 140


def or_none(words: str) -> str:
    """The words, or ``<none>``."""
    return words or NONE


def listed(title: str, values: Sequence[str], indent: str = "") -> Iterator[str]:
    """A title with values below one another behind it, or ``<none>``.

    Args:
        title: The title with the spaces before it.
        values: What to list.
        indent: What stands before the tab of the second and later lines.
    """
    first, *rest = values or [NONE]
    yield f"{title}:\t{first}"
    for value in rest:
        yield f"{indent}\t{value}"


def label_lines(title: str, pairs: dict[str, str], indent: str = "") -> Iterator[str]:
    """Labels, sorted by key."""
    yield from listed(title, [f"{key}={value}" for key, value in sorted(pairs.items())], indent)


def annotation_lines(title: str, pairs: dict[str, str]) -> Iterator[str]:
    """Annotations, sorted by key; long ones are cut and stand below their key."""
    lines: list[str] = []
    for key, raw in sorted(pairs.items()):
        if key == LAST_APPLIED:
            continue
        value = raw.removesuffix("\n")
        if len(value.encode()) + len(key.encode()) + 2 > LONGEST_ANNOTATION or "\n" in value:
            lines.append(f"{key}:")
            lines += [f"  {cut(part, LONGEST_ANNOTATION - 2)}" for part in value.split("\n")]
        else:
            lines.append(f"{key}: {value}")
    yield from listed(title, lines)


def cut(words: str, size: int) -> str:
    """At most ``size`` bytes of the words, with dots where something was left out."""
    raw = words.encode()
    return words if len(raw) <= size else raw[:size].decode(errors="ignore") + "..."


def selector_words(selector: Json) -> str:
    """A label selector in one line: ``app=a,tier in (b,c),!d``; empty if it selects everything."""
    parts = [(key, f"{key}={value}") for key, value in labels(selector, "matchLabels").items()]
    for expression in objects(selector, "matchExpressions"):
        key, values = text(expression, "key"), ",".join(sorted(texts(expression, "values")))
        words = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(text(expression, "operator"))
        if words is not None:
            parts.append((key, words))
    return ",".join(words for _, words in sorted(parts, key=lambda part: part[0]))


def taint_lines(taints: Sequence[Json]) -> Iterator[str]:
    """A node's taints, sorted by effect and key."""
    words = []
    for taint in sorted(taints, key=lambda taint: f"{text(taint, 'effect')},{text(taint, 'key')}"):
        key, value, effect = text(taint, "key"), text(taint, "value"), text(taint, "effect")
        named = f"{key}={value}" if value else key
        words.append(f"{named}:{effect}" if effect or value else named)
    yield from listed("Taints", words)


def toleration_lines(title: str, tolerations: Sequence[Json]) -> Iterator[str]:
    """A pod's tolerations, sorted by key."""
    words = []
    for toleration in sorted(tolerations, key=lambda toleration: text(toleration, "key")):
        key, value, effect = text(toleration, "key"), text(toleration, "value"), text(toleration, "effect")
        line = key + (f"={value}" if value else "") + (f":{effect}" if effect else "")
        if text(toleration, "operator") == "Exists" and not value:
            line += " op=Exists" if key or effect else "op=Exists"
        seconds = number(toleration, "tolerationSeconds")
        words.append(line if seconds is None else f"{line} for {seconds}s")
    yield from listed(title, words)


def spread_lines(constraints: Sequence[Json], space: str = "") -> Iterator[str]:
    """Topology spread constraints, sorted by key; nothing where there are none."""
    words = []
    for constraint in sorted(constraints, key=lambda constraint: text(constraint, "topologyKey")):
        line = (
            f"{text(constraint, 'topologyKey')}:{text(constraint, 'whenUnsatisfiable')} when max skew "
            f"{number(constraint, 'maxSkew') or 0} is exceeded"
        )
        if "labelSelector" in constraint:
            selector = or_none(selector_words(mapping(constraint, "labelSelector")))
            line += f" for selector {selector}"
        words.append(line)
    if words:
        yield from listed(f"{space}Topology Spread Constraints", words, space)
