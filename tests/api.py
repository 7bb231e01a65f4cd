"""A plain HTTP client of an embedded cluster: what others ask and do, past memtop."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memtop.demo.thread import DemoThread


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """The API of one embedded cluster, as one user."""

    def __init__(self, demo: DemoThread, user: str = "admin") -> None:
        self.demo = demo
        self.token = f"demo-{user}"

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
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

    def get(self, path: str, **query: Any) -> Answer:
        return self.request("GET", path, **query)

    def items(self, path: str, **query: Any) -> Any:
        return self.get(path, **query).json["items"]

    def patch(
        self, path: str, body: object, kind: str = "strategic-merge-patch+json", **query: Any
    ) -> Answer:
        return self.request("PATCH", path, body, f"application/{kind}", **query)

    def change(self, path: str, body: object) -> Any:
        """Patches an object, which must succeed, and returns what it is then."""
        answer = self.patch(path, body)
        assert answer.status == 200, answer.body
        return answer.json

    def promql(self, query: str, **parameters: Any) -> Any:
        return self.get("/prometheus/api/v1/query", query=query, **parameters).json

    def watch(self, path: str, **query: Any) -> Iterator[Any]:
        """Opens a watch and yields its events; the caller stops when it has seen enough."""
        url = f"{self.demo.url}{path}?" + urllib.parse.urlencode({"watch": "1", **query})
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            for line in response:
                yield json.loads(line)
