import pytest

from memtop.kube.kubeconfig import proxy_for

PROXY = "http://proxy.example:3128"
SERVER = "https://api.prod.example.com:6443"


def test_https_servers_go_through_https_proxy_and_http_ones_do_not():
    assert proxy_for(SERVER, {"HTTPS_PROXY": PROXY}) == PROXY
    assert proxy_for("http://api.example.com", {"HTTPS_PROXY": PROXY}) is None
    assert proxy_for("http://api.example.com", {"HTTP_PROXY": PROXY}) == PROXY


def test_small_letters_count_when_there_are_no_capitals():
    assert proxy_for(SERVER, {"https_proxy": PROXY}) == PROXY
    assert proxy_for(SERVER, {"HTTPS_PROXY": PROXY, "https_proxy": "http://other:1"}) == PROXY


def test_a_proxy_without_scheme_is_an_http_one():
    assert proxy_for(SERVER, {"HTTPS_PROXY": "proxy.example:3128"}) == PROXY


@pytest.mark.parametrize("server", ["https://localhost:6443", "https://127.0.0.1:6443", "https://[::1]:6443"])
def test_this_machine_is_never_proxied(server):
    assert proxy_for(server, {"HTTPS_PROXY": PROXY}) is None


@pytest.mark.parametrize(
    "entry",
    ["*", "example.com", ".example.com", "*.example.com", "api.prod.example.com", "API.PROD.example.com",
     "other.net, example.com", "example.com:6443"],
)  # fmt: skip
def test_no_proxy_names_a_host_or_its_domain(entry):
    assert proxy_for(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": entry}) is None


@pytest.mark.parametrize("entry", ["", "ample.com", "prod.example.org", "example.com:443", "10.0.0.0/8", ","])
def test_no_proxy_does_not_name_others(entry):
    assert proxy_for(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": entry}) == PROXY


@pytest.mark.parametrize("entry", ["10.1.2.3", "10.0.0.0/8", "10.1.2.3:6443"])
def test_no_proxy_names_addresses_and_ranges(entry):
    environ = {"HTTPS_PROXY": PROXY, "no_proxy": entry}
    assert proxy_for("https://10.1.2.3:6443", environ) is None
    assert proxy_for("https://11.1.2.3:6443", environ) == PROXY


def test_no_proxy_names_ipv6_addresses():
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": "[fd00::1]:6443,fd00:1::/32"}
    assert proxy_for("https://[fd00::1]:6443", environ) is None
    assert proxy_for("https://[fd00:1::5]:6443", environ) is None
    assert proxy_for("https://[fd00::1]:443", environ) == PROXY
