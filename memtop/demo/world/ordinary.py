"""Ordinary workloads: as many healthy pods as asked for, and what their images do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memtop.demo.curves import DAY, HOUR, MIB, Curve, fraction_of, seed_of
from memtop.demo.life import Behaviour
from memtop.demo.world.apps import App, Box
from memtop.demo.world.cast import BEHAVIOURS

NAMESPACES = ("shop", "search", "media", "payments", "staging", "platform", "data", "mobile")
WORDS = (
    "cart", "catalog", "checkout", "pricing", "stock", "mailer", "profile", "reviews", "gateway", "router",
    "geo", "feed", "ranking", "coupons", "returns", "tracking", "notify", "quotes", "images", "tags",
)  # fmt: skip
RELEASES = re.compile(r"ordinary/([a-z0-9-]+):v?\d+(?:\.\d+)*")
FIRST_RELEASES = 3  # minor releases of an ordinary image that are in use at the start


def behaviour_of(image: str) -> Behaviour | None:
    """Return what an image does, None when it does not exist: the catalogue of images.

    Of the images of the cast there are the tags named there and no others; of the ordinary ones every tag
    that is a version, all behaving alike.
    """
    named = BEHAVIOURS.get(image)
    if named is not None:
        return named
    match = RELEASES.fullmatch(image)
    return None if match is None else _ordinary(match[1])


def _ordinary(name: str) -> Behaviour:
    base = (40 + 70 * fraction_of(name, "base")) * MIB
    kind = seed_of(name, "kind") % 4
    if kind == 0:
        curve = Curve(
            base, teeth=0.7 * base, teeth_period=300 + 900 * fraction_of(name, "period"), noise=0.02 * base
        )
        return Behaviour(curve, voice="jvm", spread=0.15)
    if kind == 1:
        return Behaviour(Curve(base, warm=0.8 * base, warm_tau=1.5 * HOUR, noise=0.03 * base), spread=0.15)
    if kind == 2:
        return Behaviour(Curve(base, day=0.15 * base, noise=0.04 * base), spread=0.15)
    return Behaviour(Curve(base, noise=0.03 * base), spread=0.15)


def ordinary_apps(pods: int, containers: int, seed: int) -> Iterator[App]:
    """Yield workloads of `pods` pods in all.

    Args:
        pods: how many pods.
        containers: how many containers each has (1 or 2).
        seed: what sizes are drawn from.
    """
    made = 0
    index = 0
    while made < pods:
        word = WORDS[index % len(WORDS)]
        name = word if index < len(WORDS) else f"{word}-{index // len(WORDS)}"
        largest = 4 if pods < 500 else 24
        replicas = min(1 + seed_of(seed, name, "replicas") % largest, pods - made)
        image = f"ordinary/{word}:1.{seed_of(name) % FIRST_RELEASES}"
        limit = "256Mi" if seed_of(word, "limit") % 3 else "512Mi"
        boxes = [Box(name, image, limit, "128Mi")]
        if containers > 1:
            boxes.append(Box("proxy", "ordinary/proxy:1.0", "256Mi", "64Mi", cpu="20m"))
        yield App(
            NAMESPACES[index % len(NAMESPACES)],
            name,
            tuple(boxes),
            replicas=replicas,
            labels={"tier": "backend" if index % 3 else "frontend"},
            age=(4 + seed_of(name, "age") % 40) * DAY,
        )
        made += replicas
        index += 1
