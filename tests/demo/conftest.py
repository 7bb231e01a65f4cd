"""One frozen demo cluster for tests that only read, a fresh one for those that change things."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

import pytest

from memtop.demo.thread import DemoThread

EPOCH = 1_795_363_200.0  # 2026-11-22T16:00:00Z


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Api:
    """A plain HTTP client of one demo cluster, as one user."""

    def __init__(self, demo, user="admin"):
        self.demo = demo
        self.token = f"demo-{user}"

    def request(self, method, path, body=None, content_type="application/json", headers=None, **query):
        url = self.demo.url + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": content_type, "Authorization": f"Bearer {self.token}", **(headers or {})}
        request = urllib.request.Request(url, data=data, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def get(self, path, **query):
        return self.request("GET", path, **query)

    def items(self, path, **query):
        return self.get(path, **query).json["items"]

    def patch(self, path, body, kind="strategic-merge-patch+json", **query):
        return self.request("PATCH", path, body, f"application/{kind}", **query)

    def promql(self, query, **parameters):
        return self.get("/prometheus/api/v1/query", query=query, **parameters).json

    def watch(self, path, **query):
        """Open a watch and yield its events; the caller stops when it has seen enough."""
        url = f"{self.demo.url}{path}?" + urllib.parse.urlencode({"watch": "1", **query})
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            for line in response:
                yield json.loads(line)


@pytest.fixture(scope="session")
def frozen():
    """A cluster whose clock stands still; tests must not change it."""
    with DemoThread(speed=0, epoch=EPOCH) as demo:
        yield demo


@pytest.fixture
def fresh():
    """A cluster of one's own; its clock moves only by `advance`."""
    with DemoThread(speed=0, epoch=EPOCH, bookmark_every=0.05) as demo:
        yield demo


@pytest.fixture(scope="session")
def as_user():
    """Makes clients: `as_user(demo, "readonly")`."""
    return Api


@pytest.fixture(scope="session")
def api(frozen):
    """A client of the frozen cluster."""
    return Api(frozen)


@pytest.fixture
def fresh_api(fresh):
    """A client of the fresh cluster."""
    return Api(fresh)
