import base64

import pytest
import yaml


def review(client, **attributes):
    body = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    return client.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)


def test_a_reader_reads_and_changes_nothing(frozen, as_user):
    reader = as_user(frozen, "readonly")
    assert reader.get("/api/v1/pods").status == 200
    assert reader.get("/apis/metrics.k8s.io/v1beta1/pods").status == 200
    refused = reader.patch("/apis/apps/v1/namespaces/production/deployments/user-service", {})
    assert refused.json["message"] == (
        'deployments.apps "user-service" is forbidden: User "readonly" cannot patch resource "deployments" '
        'in API group "apps" in the namespace "production"'
    )
    assert reader.request("DELETE", "/api/v1/namespaces/production/pods/debug-shell").status == 403
    assert reader.get("/api/v1/namespaces/production/secrets").status == 403
    proxy = reader.get("/api/v1/namespaces/observability/services/prometheus-service:9090/proxy/api/v1/query")
    assert 'cannot get resource "services/proxy"' in proxy.json["message"]


def test_one_namespace_is_one_namespace(frozen, as_user):
    client = as_user(frozen, "one-namespace")
    assert client.get("/api/v1/namespaces/production/pods").status == 200
    assert client.get("/apis/metrics.k8s.io/v1beta1/namespaces/production/pods").status == 200
    for path in ("/api/v1/pods", "/api/v1/nodes", "/api/v1/namespaces", "/api/v1/namespaces/staging/pods"):
        assert client.get(path).status == 403
    assert review(client, verb="list", resource="pods", namespace="production").status == 403
    whole = client.get("/api/v1/pods").json["message"]
    assert whole == (
        'pods is forbidden: User "one-namespace" cannot list resource "pods" in API group "" '
        "at the cluster scope"
    )


def test_nobody_may_do_nothing(frozen, as_user):
    client = as_user(frozen, "nobody")
    metrics = client.get("/apis/metrics.k8s.io/v1beta1/pods").json
    assert metrics["message"].startswith('pods.metrics.k8s.io is forbidden: User "nobody" cannot list')
    assert client.get("/version").status == 200


def test_unknown_tokens_are_unauthorized(frozen, as_user):
    client = as_user(frozen, "stranger")
    assert (client.get("/api/v1/pods").status, client.get("/api/v1/pods").json["reason"]) == (
        401,
        "Unauthorized",
    )


@pytest.mark.parametrize(("user", "may"), [("admin", True), ("readonly", False)])
def test_access_reviews_tell_beforehand(frozen, as_user, user, may):
    client = as_user(frozen, user)
    answer = review(client, verb="patch", group="apps", resource="deployments", namespace="production")
    assert (answer.status, answer.json["status"]["allowed"]) == (201, may)
    assert review(client, verb="list", resource="pods").json["status"]["allowed"]
    rules = client.request(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "production"}}
    )
    assert rules.json["status"]["resourceRules"]


def test_a_user_is_told_by_the_path_where_no_token_is_sent(frozen, as_user):
    client = as_user(frozen, "admin")
    answer = client.request("GET", "/as/nobody/api/v1/pods", headers={"Authorization": ""})
    assert answer.status == 403


def test_kubeconfigs_name_their_user(frozen):
    document = yaml.safe_load(frozen.kubeconfig("readonly", "staging"))
    assert document["current-context"] == "memtop-demo-readonly"
    assert document["contexts"][0]["context"]["namespace"] == "staging"
    assert document["clusters"][0]["cluster"]["server"].startswith(frozen.url)
    authority = yaml.safe_load(frozen.server.kubeconfig(authority=b"PEM"))["clusters"][0]["cluster"]
    assert base64.b64decode(authority["certificate-authority-data"]) == b"PEM"


def test_who_one_is(frozen, as_user):
    answer = as_user(frozen, "readonly").request(
        "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {"kind": "SelfSubjectReview"}
    )
    assert (answer.status, answer.json["status"]["userInfo"]["username"]) == (201, "readonly")
