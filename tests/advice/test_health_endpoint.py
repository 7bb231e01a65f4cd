"""``/health/memory`` of an application: asked only where it says so, by one bounded GET a pod."""

from types import SimpleNamespace

import pytest

from memtop.advice.health_endpoint import (
    HEALTH_ANNOTATION,
    MOST_PODS,
    health_reading,
    health_target,
    read_health,
)
from memtop.kube.api_errors import ApiError

MI = 2**20
NODE = b'{"rss": 209715200, "heapUsed": 104857600, "external": 1048576, "heapLimit": 209715200, "share": 0.5}'


class Pods:
    """An API server that proxies to pods, and notes what it is asked."""

    def __init__(self, body: bytes = NODE, status: int = 0) -> None:
        self.body, self.status, self.asked = body, status, []

    async def request(self, method, path, params=None, *, accept="", timeout=0.0):
        self.asked.append((method, path, timeout))
        if self.status:
            raise ApiError(self.status, "Forbidden", "pods/proxy is forbidden")
        return SimpleNamespace(body=self.body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (NODE, "web-1 says by /health/memory: heap 100 MiB of 200 MiB (50 %), RSS 200 MiB, external 1 MiB"),
        (b'{"heapUsed":104857600,"heapMax":209715200}', "heap 100 MiB of 200 MiB (50 %)"),
        (b'{"rss": 104857600, "objects": 5, "uncollectable": 0}', "RSS 100 MiB"),
        (b'{"heapUsed": 104857600, "sys": 1, "limit": 209715200}', "heap 100 MiB of 200 MiB"),
    ],
)
def test_the_answers_of_memtops_own_snippets_are_read(body: bytes, words: str) -> None:
    found = health_reading("web-1", body)
    assert found is not None
    assert words in found.words()


@pytest.mark.parametrize(
    "body", [b"", b"OK", b"[1]", b'{"rss": "many"}', b'{"rss": true}', b'{"limit": 5}', b"\xff"]
)
def test_what_holds_no_figure_is_no_reading(body: bytes) -> None:
    assert health_reading("web-1", body) is None


async def test_nobody_is_asked_who_does_not_say_so() -> None:
    pods = Pods()
    assert await read_health(pods, "shop", ["web-1"], {}) == ((), ())  # type: ignore[arg-type]
    assert not pods.asked


async def test_a_few_pods_are_asked_once_each_through_the_api_server() -> None:
    pods = Pods()
    names = [f"web-{number}" for number in range(9)]
    found, problems = await read_health(pods, "shop", names, {HEALTH_ANNOTATION: "8080/internal/memory"})  # type: ignore[arg-type]
    assert len(found) == len(pods.asked) == MOST_PODS
    assert not problems
    assert pods.asked[0][:2] == ("GET", "/api/v1/namespaces/shop/pods/web-0:8080/proxy/internal/memory")


async def test_a_refusal_is_a_sentence() -> None:
    found, problems = await read_health(Pods(status=403), "shop", ["web-1"], {HEALTH_ANNOTATION: "8080"})  # type: ignore[arg-type]
    assert not found
    assert problems[0].startswith("/health/memory of web-1: ")


@pytest.mark.parametrize("said", ["", "http", "99999", "8080/../secrets", "8080?x=1", "8080/a b"])
def test_an_annotation_that_makes_no_sense_is_said(said: str) -> None:
    with pytest.raises(ValueError, match="no port"):
        health_target({HEALTH_ANNOTATION: said})
