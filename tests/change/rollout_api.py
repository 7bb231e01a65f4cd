"""What tests of rollouts share: objects made by hand, and an API server that has nothing but these."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "shop"
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


def workload(kind, name, spec=None, status=None, generation=2):
    """A workload as the API has it, with a pod template of one container."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": "a:1"}]},
    }
    base = {"selector": {"matchLabels": {"app": name}}, "template": template}
    if kind != "Deployment":
        base["updateStrategy"] = {"type": "RollingUpdate"}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "generation": generation},
        "spec": base | (spec or {}),
        "status": {"observedGeneration": generation} | (status or {}),
    }


class _Handler(BaseHTTPRequestHandler):
    """Answers what ``kubectl rollout status`` asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        at = urlsplit(self.path)
        query = parse_qs(at.query)
        parts = at.path.strip("/").split("/")
        if "watch" in query:
            self._say("")
        elif at.path == "/version":
            self._say({"major": "1", "minor": "32", "gitVersion": "v1.32.4"})
        elif at.path == "/api":
            self._say({"kind": "APIVersions", "versions": ["v1"]})
        elif at.path == "/apis":
            version = {"groupVersion": "apps/v1", "version": "v1"}
            group = {"name": "apps", "versions": [version], "preferredVersion": version}
            self._say({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]})
        elif at.path == "/api/v1":
            self._say({"kind": "APIResourceList", "groupVersion": "v1", "resources": []})
        elif at.path == "/apis/apps/v1":
            resources = [
                {"name": plural, "namespaced": True, "kind": kind, "verbs": ["get", "list", "watch"]}
                for kind, plural in PLURALS.items()
            ]
            self._say({"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": resources})
        elif len(parts) == 7:
            self._say(self.server.objects[parts[5], parts[6]])
        else:
            name = query["fieldSelector"][0].removeprefix("metadata.name=")
            found = self.server.objects[parts[5], name]
            items = {"metadata": {"resourceVersion": "1"}, "items": [found]}
            self._say({"apiVersion": "apps/v1", "kind": f"{found['kind']}List"} | items)

    def _say(self, answer):
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Shelf(ThreadingHTTPServer):
    """An API server with the objects that were put on it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects = {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def put(self, found):
        self.objects[PLURALS[found["kind"]], found["metadata"]["name"]] = found
