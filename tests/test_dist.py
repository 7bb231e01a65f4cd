"""What a release consists of beside the wheel: man page, krew manifest, Homebrew formula, manifests."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from config.commands import COMMANDS
from config.options import options
from deploy.dist import man_page, manifests

DEPLOY = Path(__file__).parent.parent / "deploy"


def test_the_man_page_has_every_command_flag_and_setting():
    page = man_page().replace("\\", "")
    for command in COMMANDS:
        if command.typed:
            assert f".B {command.name}" in page
            assert all(flag.name in page for flag in command.flags)
    assert all(option.variable in page for option in options())


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_man_page_is_what_troff_understands():
    done = subprocess.run(
        ["groff", "-Kutf8", "-man", "-ww", "-Tutf8", "-P-cbou"],
        input=man_page(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "set memory" in done.stdout


@pytest.fixture
def written(tmp_path):
    (tmp_path / "memtop-1.2.3-linux-x86_64.tar.gz").write_bytes(b"one")
    (tmp_path / "memtop-1.2.3-darwin-arm64.tar.gz").write_bytes(b"two")
    return dict(manifests(tmp_path, "https://example.com/memtop/releases/download/v1.2.3"))


def test_the_krew_manifest_names_every_archive_by_its_checksum(written):
    platforms = yaml.safe_load(written["krew.yaml"])["spec"]["platforms"]
    found = {one["selector"]["matchLabels"]["os"]: one for one in platforms}
    assert found["linux"]["selector"]["matchLabels"]["arch"] == "amd64"
    assert found["linux"]["sha256"] == hashlib.sha256(b"one").hexdigest()
    assert found["darwin"]["uri"].endswith("/v1.2.3/memtop-1.2.3-darwin-arm64.tar.gz")
    assert all(one["bin"] == "kubectl-memtop" for one in platforms)


def test_the_formula_names_every_archive_by_its_checksum(written):
    formula = written["memtop.rb"]
    assert formula.count("sha256 ") == 2
    assert hashlib.sha256(b"two").hexdigest() in formula
    assert "on_macos do\n    if Hardware::CPU.arm64?" in formula
    assert '"$@"' in formula


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.yaml")), ids=lambda path: path.name)
def test_manifests_are_yaml_of_known_kinds(path):
    for document in yaml.safe_load_all(path.read_text()):
        assert document["apiVersion"]
        assert document["metadata"]["name"]


def test_the_rights_to_look_change_nothing():
    documents = yaml.safe_load_all((DEPLOY / "rbac-see-only.yaml").read_text())
    rules = next(one["rules"] for one in documents if one["kind"] == "ClusterRole")
    assert {verb for rule in rules for verb in rule["verbs"]} <= {"get", "list", "watch", "create"}
    creating = {name for rule in rules for name in rule["resources"] if "create" in rule["verbs"]}
    assert creating == {"services/proxy", "pods/portforward"}  # to ask Prometheus
