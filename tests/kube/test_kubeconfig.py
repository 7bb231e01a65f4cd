import errno
import json
import os

import pytest

from memtop.kube.api_errors import KubeconfigError
from memtop.kube.kubeconfig import list_contexts, load_target


def sentence(raised):
    """The error's sentence: one line, no traceback dust."""
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_a_context_becomes_a_target(kubeconfig_file):
    path = kubeconfig_file(user={"token": "secret"}, context={"namespace": "production"})
    target = load_target(kubeconfig=str(path), environ={})
    assert (target.context, target.cluster, target.user) == ("prod", "c1", "u1")
    assert (target.server, target.namespace, target.source) == (
        "https://10.0.0.1:6443",
        "production",
        str(path),
    )
    assert target.auth.token == "secret"
    assert not target.insecure


def test_secrets_do_not_show_when_a_target_is_printed(kubeconfig_file):
    path = kubeconfig_file(user={"token": "t0ps3cret"}, cluster={"proxy-url": "http://me:pa55@proxy:1"})
    shown = repr(load_target(kubeconfig=str(path), environ={}))
    assert "t0ps3cret" not in shown
    assert "pa55" not in shown


def test_the_namespace_is_default_where_the_context_names_none(kubeconfig_file):
    assert load_target(kubeconfig=str(kubeconfig_file()), environ={}).namespace == "default"


def test_the_home_folder_is_looked_into_when_nothing_else_is_said(kubeconfig_file, tmp_path):
    path = kubeconfig_file(".kube/config")
    assert load_target(environ={"HOME": str(tmp_path)}).source == str(path)


def test_several_files_merge_and_the_first_wins(kubeconfig_file, tmp_path):
    first = kubeconfig_file("a", cluster={"server": "https://first:1"})
    second = kubeconfig_file(
        "b",
        cluster={"server": "https://second:1"},
        contexts=[
            {"name": "prod", "context": {"cluster": "c1", "user": "u1", "namespace": "second"}},
            {"name": "staging", "context": {"cluster": "c1", "user": "u1", "namespace": "s"}},
        ],
        **{"current-context": "staging"},
    )
    environ = {"KUBECONFIG": os.pathsep.join([str(first), str(tmp_path / "not-there"), "", str(second)])}
    assert load_target(environ=environ).context == "prod"
    assert load_target(environ=environ).namespace == "default"
    staging = load_target(environ=environ, context="staging")
    assert (staging.server, staging.namespace, staging.source) == ("https://first:1", "s", str(second))


def test_paths_in_a_file_are_relative_to_it(kubeconfig_file, tmp_path, authority, monkeypatch):
    path = kubeconfig_file(
        "deep/config",
        cluster={"certificate-authority": "ca.crt"},
        user={
            "client-certificate": "pki/me.crt",
            "client-key": "pki/me.key",
            "tokenFile": "token",
        },
    )
    (path.parent / "pki").mkdir()
    (path.parent / "ca.crt").write_bytes(authority.certificate)
    (path.parent / "pki/me.crt").write_bytes(authority.client[0])
    (path.parent / "pki/me.key").write_bytes(authority.client[1])
    monkeypatch.chdir(tmp_path)
    target = load_target(kubeconfig="deep/config", environ={})
    assert target.authority == authority.certificate
    assert target.auth.certificate.read() == authority.client[0]
    assert target.auth.key.read() == authority.client[1]
    assert target.auth.token_file.resolve() == path.parent / "token"


def test_data_beats_files(kubeconfig_file, authority, b64):
    path = kubeconfig_file(
        cluster={
            "certificate-authority-data": b64(authority.certificate),
            "certificate-authority": "/nowhere",
        }
    )
    assert load_target(kubeconfig=str(path), environ={}).authority == authority.certificate


def test_everything_a_cluster_and_a_user_can_say_is_understood(kubeconfig_file):
    path = kubeconfig_file(
        cluster={
            "insecure-skip-tls-verify": True,
            "tls-server-name": "kubernetes.test",
            "proxy-url": "http://proxy:3128",
            "disable-compression": True,
        },
        user={
            "username": "me",
            "password": "pw",
            "as": "ops",
            "as-uid": "42",
            "as-groups": ["a", "b"],
            "as-user-extra": {"Reason/x": ["because"]},
        },
    )
    target = load_target(kubeconfig=str(path), environ={"NO_PROXY": "*"})
    assert target.insecure
    assert target.server_name == "kubernetes.test"
    assert target.proxy == "http://proxy:3128"
    assert not target.compress
    assert (target.auth.username, target.auth.password) == ("me", "pw")
    assert target.auth.impersonation == (
        ("Impersonate-User", "ops"),
        ("Impersonate-Uid", "42"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-Reason%2Fx", "because"),
    )


def test_the_proxy_variables_count_where_the_cluster_names_no_proxy(kubeconfig_file):
    path = str(kubeconfig_file())
    assert load_target(kubeconfig=path, environ={"HTTPS_PROXY": "http://p:1"}).proxy == "http://p:1"
    assert (
        load_target(kubeconfig=path, environ={"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}).proxy
        is None
    )


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_a_plugin_is_understood(kubeconfig_file, version):
    path = kubeconfig_file(
        cluster={
            "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}],
        },
        user={
            "exec": {
                "apiVersion": f"client.authentication.k8s.io/{version}",
                "command": "./bin/get-token",
                "args": ["--region", "eu"],
                "env": [{"name": "PROFILE", "value": "prod"}],
                "installHint": "brew install get-token",
                "provideClusterInfo": True,
                "interactiveMode": "Never",
            }
        },
    )
    plugin = load_target(kubeconfig=str(path), environ={}).auth.plugin
    assert plugin.command == str(path.parent / "bin/get-token")
    assert (plugin.args, plugin.env) == (("--region", "eu"), (("PROFILE", "prod"),))
    assert plugin.cluster_info == {"server": "https://10.0.0.1:6443", "config": {"audience": "x"}}


def test_nulls_where_a_tool_wrote_them_are_nothing(kubeconfig_file):
    path = kubeconfig_file(
        user={
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1beta1",
                "command": "get-token",
                "args": None,
                "env": None,
                "installHint": None,
            }
        }
    )
    plugin = load_target(kubeconfig=str(path), environ={}).auth.plugin
    assert (plugin.command, plugin.args, plugin.env, plugin.cluster_info) == ("get-token", (), (), None)


def test_a_plugin_beside_a_kubeconfig_that_is_named_without_its_folder(kubeconfig_file, monkeypatch):
    plugin = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "./plug.sh"}
    path = kubeconfig_file("config", user={"exec": plugin})
    monkeypatch.chdir(path.parent)
    target = load_target(kubeconfig="config", environ={})
    assert target.auth.plugin.command == str(path.parent / "plug.sh")


def test_null_booleans_are_false(kubeconfig_file):
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "get-token",
        "provideClusterInfo": None,
        "interactiveMode": None,
    }
    cluster = {"insecure-skip-tls-verify": None, "disable-compression": None, "tls-server-name": None}
    target = load_target(kubeconfig=str(kubeconfig_file(user={"exec": plugin}, cluster=cluster)), environ={})
    assert target.auth.plugin.cluster_info is None
    assert not target.insecure


@pytest.mark.parametrize("frame", ["{}\n---\n", "---\n{}\n---\n", "{}\n---\nkind: Other\n"])
def test_of_several_documents_the_first_counts(kubeconfig_file, frame):
    path = kubeconfig_file()
    path.write_text(frame.format(path.read_text()))
    assert load_target(kubeconfig=str(path), environ={}).context == "prod"


def test_a_user_that_is_not_there_is_nobody(kubeconfig_file):
    target = load_target(kubeconfig=str(kubeconfig_file(context={"user": "u2"})), environ={})
    assert (target.user, target.auth.token, target.auth.plugin) == ("u2", None, None)


def test_names_that_look_like_other_types_stay_names(tmp_path):
    path = tmp_path / "config"
    path.write_text(
        "current-context: 2024-01-01\n"
        "clusters: [{name: 1, cluster: {server: 'https://x:1', insecure-skip-tls-verify: true}}]\n"
        "users: [{name: on, user: {token: 0123}}]\n"
        "contexts: [{name: 2024-01-01, context: {cluster: 1, user: on, namespace: yes}}]\n"
    )
    target = load_target(kubeconfig=str(path), environ={})
    assert (target.context, target.cluster, target.user) == ("2024-01-01", "1", "on")
    assert (target.namespace, target.auth.token, target.insecure) == ("yes", "0123", True)


def test_a_server_without_scheme_and_with_a_path(kubeconfig_file, authority, b64):
    plain = kubeconfig_file("a", cluster={"server": "host:8080"})
    assert load_target(kubeconfig=str(plain), environ={}).server == "http://host:8080"
    secure = kubeconfig_file(
        "b",
        cluster={"server": "host:8443/k8s/c-1/", "certificate-authority-data": b64(authority.certificate)},
    )
    assert load_target(kubeconfig=str(secure), environ={}).server == "https://host:8443/k8s/c-1"


def test_answers_from_this_machine_are_not_compressed(kubeconfig_file):
    near = kubeconfig_file("a", cluster={"server": "https://127.0.0.1:6443"})
    assert not load_target(kubeconfig=str(near), environ={}).compress
    assert load_target(kubeconfig=str(kubeconfig_file("b")), environ={}).compress


class TestInCluster:
    @pytest.fixture
    def account(self, tmp_path):
        folder = tmp_path / "serviceaccount"
        folder.mkdir()
        (folder / "token").write_text("t")
        (folder / "ca.crt").write_bytes(b"ca")
        (folder / "namespace").write_text("ops\n")
        return folder

    def test_without_a_kubeconfig_a_pod_uses_its_service_account(self, account, tmp_path):
        environ = {
            "HOME": str(tmp_path),
            "KUBERNETES_SERVICE_HOST": "fd00::1",
            "KUBERNETES_SERVICE_PORT": "443",
        }
        target = load_target(environ=environ, service_account=account)
        assert (target.server, target.namespace) == ("https://[fd00::1]:443", "ops")
        assert (target.source, target.authority) == ("in-cluster", b"ca")
        assert target.auth.token_file == account / "token"

    def test_a_kubeconfig_comes_first(self, account, kubeconfig_file, tmp_path):
        kubeconfig_file(".kube/config")
        environ = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
        assert load_target(environ=environ, service_account=account).context == "prod"

    def test_a_pod_without_service_account_is_told_so(self, tmp_path):
        environ = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
        with pytest.raises(KubeconfigError) as raised:
            load_target(environ=environ, service_account=tmp_path / "none")
        assert "service account" in sentence(raised)


class TestMistakes:
    """Each is one sentence that names the value and where it came from."""

    def fails(self, path, **options):
        with pytest.raises(KubeconfigError) as raised:
            load_target(kubeconfig=str(path), environ=options.pop("environ", {}), **options)
        return sentence(raised)

    def test_no_kubeconfig_at_all(self, tmp_path):
        with pytest.raises(KubeconfigError) as raised:
            load_target(environ={"HOME": str(tmp_path)})
        assert str(tmp_path / ".kube/config") in sentence(raised)
        assert "memtop --demo" in sentence(raised)

    def test_only_missing_files_in_the_variable(self, tmp_path):
        with pytest.raises(KubeconfigError) as raised:
            load_target(environ={"KUBECONFIG": str(tmp_path / "gone"), "HOME": str(tmp_path)})
        assert f"KUBECONFIG={tmp_path / 'gone'}" in sentence(raised)

    def test_a_named_file_that_is_not_there(self, tmp_path):
        assert self.fails(tmp_path / "gone") == f"kubeconfig {tmp_path / 'gone'} does not exist"

    def test_a_folder(self, tmp_path):
        assert "Is a directory" in self.fails(tmp_path)

    def test_a_file_that_may_not_be_read(self, kubeconfig_file, monkeypatch):
        path = kubeconfig_file()

        def refuse(*_):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr("memtop.kube.kubeconfig_files.read_file", refuse)
        assert self.fails(path) == f"kubeconfig {path} cannot be read: Permission denied"

    def test_a_huge_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr("memtop.kube.kubeconfig_files.MAX_FILE", 1 << 20)
        (tmp_path / "config").write_bytes(b"#" * ((1 << 20) + 1))
        assert "larger than 1 MiB" in self.fails(tmp_path / "config")

    def test_broken_yaml_names_the_line(self, tmp_path):
        (tmp_path / "config").write_text("contexts:\n- name: a\n  context: {cluster: b\nusers: []\n")
        text = self.fails(tmp_path / "config")
        assert str(tmp_path / "config") in text
        assert "line 4" in text

    @pytest.mark.parametrize(
        "content", [b"\x00\x01\x02", b"\xff\xfe junk", b"just words", b"- a\n- b", b"[" * 5000]
    )
    def test_something_else_than_a_kubeconfig(self, tmp_path, content):
        (tmp_path / "config").write_bytes(content)
        assert str(tmp_path / "config") in self.fails(tmp_path / "config")

    def test_a_field_of_the_wrong_kind_is_named(self, kubeconfig_file):
        text = self.fails(kubeconfig_file(clusters=[{"name": "c1", "cluster": {"server": ["x"]}}]))
        assert "clusters[0].cluster.server" in text.replace("[...]", "[0]")

    def test_an_empty_file(self, tmp_path):
        (tmp_path / "config").write_text("")
        assert "names no context" in self.fails(tmp_path / "config")

    def test_an_unknown_context_is_compared_with_those_there_are(self, kubeconfig_file):
        path = kubeconfig_file()
        text = self.fails(path, context="prd")
        assert "the context 'prd'" in text
        assert "did you mean 'prod'?" in text
        assert str(path) in text

    def test_a_current_context_that_is_not_there(self, kubeconfig_file):
        assert "current-context 'gone'" in self.fails(kubeconfig_file(**{"current-context": "gone"}))

    def test_no_current_context(self, kubeconfig_file):
        text = self.fails(kubeconfig_file(**{"current-context": ""}))
        assert "choose one with --context: prod" in text

    def test_a_context_that_names_a_missing_cluster(self, kubeconfig_file):
        assert "the cluster 'c2'" in self.fails(kubeconfig_file(context={"cluster": "c2"}))

    @pytest.mark.parametrize("server", ["", "ftp://x", "https://", "https://host:99999", "https://[::1"])
    def test_a_server_that_is_no_url(self, kubeconfig_file, server):
        assert "cluster 'c1'" in self.fails(kubeconfig_file(cluster={"server": server}))

    def test_a_missing_certificate_file(self, kubeconfig_file, tmp_path):
        text = self.fails(kubeconfig_file(cluster={"certificate-authority": "ca.crt"}))
        assert text == f"certificate-authority of cluster 'c1' {tmp_path / 'ca.crt'} does not exist"
        text = self.fails(kubeconfig_file(user={"client-certificate": "me.crt", "client-key": "me.key"}))
        assert text.startswith("client-certificate of user 'u1'")

    def test_data_that_is_not_base64_is_not_repeated(self, kubeconfig_file):
        text = self.fails(
            kubeconfig_file(user={"client-certificate-data": "!s3cret!", "client-key-data": "x"})
        )
        assert "client-certificate of user 'u1'" in text
        assert "s3cret" not in text

    def test_a_certificate_without_key(self, kubeconfig_file, b64):
        text = self.fails(kubeconfig_file(user={"client-certificate-data": b64(b"x")}))
        assert "no client-key" in text

    def test_a_removed_auth_provider(self, kubeconfig_file):
        text = self.fails(kubeconfig_file(user={"auth-provider": {"name": "gcp"}}))
        assert "auth-provider 'gcp'" in text
        assert "exec plugin" in text

    def test_a_plugin_of_an_unknown_version_or_without_command(self, kubeconfig_file):
        text = self.fails(kubeconfig_file(user={"exec": {"apiVersion": "v9", "command": "x"}}))
        assert "'v9'" in text
        text = self.fails(kubeconfig_file(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}))
        assert "no command" in text

    def test_a_socks_proxy_says_what_to_do_instead(self, kubeconfig_file):
        text = self.fails(kubeconfig_file(cluster={"proxy-url": "socks5://me:pa55@jump:1080"}))
        assert "socks5://jump" in text
        assert "pa55" not in text
        text = self.fails(kubeconfig_file(), environ={"HTTPS_PROXY": "socks5://jump:1080"})
        assert "the variable HTTPS_PROXY" in text

    def test_a_token_with_a_line_break_inside(self, kubeconfig_file):
        text = self.fails(kubeconfig_file(user={"token": "a\r\nX-Evil: 1"}))
        assert "token of user 'u1'" in text
        assert "Evil" not in text

    def test_escape_sequences_in_names_do_not_reach_the_screen(self, kubeconfig_file):
        assert "\x1b" not in self.fails(kubeconfig_file(), context="\x1b[2J\x1b]0;x\x07")


def test_the_contexts_for_the_picker(kubeconfig_file, tmp_path):
    first = kubeconfig_file("a")
    second = tmp_path / "b"
    second.write_text(
        json.dumps({"contexts": [{"name": "dev", "context": {"cluster": "gone", "namespace": "d"}}]})
    )
    found = list_contexts(environ={"KUBECONFIG": f"{first}{os.pathsep}{second}"})
    assert [(c.name, c.namespace, c.server, c.current) for c in found] == [
        ("dev", "d", "", False),
        ("prod", "default", "https://10.0.0.1:6443", True),
    ]
    assert [c.source for c in found] == [str(second), str(first)]
