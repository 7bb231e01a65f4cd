"""Which runtime it is, from real answers and from made-up ones."""

from __future__ import annotations

import pytest

from memtop.heap.capture_methods import CaptureMeans, CaptureMethod, possible_captures
from memtop.heap.container_probe import ContainerProbe
from memtop.heap.runtime_detection import LanguageRuntime, detect_programs

MIB = 1024 * 1024
TOOLS = {name: f"/usr/bin/{name}" for name in ("jcmd", "gzip", "sha256sum", "tail", "cat", "wget")}


def made(command="app", program="", library="", variable="", go=False):
    """The probe of a container with one process of 100 MiB."""
    return ContainerProbe(
        {
            "status": "Name:\tmain\nPid:\t1\nPPid:\t0\nVmRSS:\t112400 kB\nRssAnon:\t102400 kB\n",
            "command": "==> /proc/1/cmdline <==\n" + "\n".join(command.split()) + "\n",
            "program": f"lrwxrwxrwx 1 0 0 0 Jan 1 00:00 /proc/1/exe -> {program}\n" if program else "",
            "library": f"/proc/1/maps:{library}\n" if library else "",
            "variable": variable,
            "go": "/proc/1/exe\n" if go else "",
        }
    )


def test_real_containers_are_told_apart(answered):
    jvm = detect_programs(answered("jvm-cgroup-v1"))[0]
    assert (jvm.runtime, jvm.process.pid) == (LanguageRuntime.JVM, 1)
    assert jvm.library.endswith("libjvm.so")
    python = detect_programs(answered("python-cgroup-v1"))[0]
    assert (python.runtime, python.version) == (LanguageRuntime.PYTHON, "3.11")
    node = detect_programs(answered("node-cgroup-v1"))[0]
    assert node.runtime is LanguageRuntime.NODE
    assert "--heapsnapshot-signal=SIGUSR2" in node.options, "what NODE_OPTIONS says counts as well"
    assert detect_programs(answered("go-cgroup-v1"))[0].runtime is LanguageRuntime.UNKNOWN
    asked = answered("go-cgroup-v1")
    go = detect_programs(ContainerProbe({**asked.sections, "go": "/proc/1/exe\n"}))[0]
    assert go.runtime is LanguageRuntime.GO


@pytest.mark.parametrize(
    ("probe", "runtime"),
    [
        (made("java -jar x.jar"), LanguageRuntime.JVM),
        (made("/app/start", "/app/start", library="/app/lib/libjvm.so"), LanguageRuntime.JVM),
        (made("java", "/usr/local/bin/node"), LanguageRuntime.NODE),
        (made("gunicorn: worker", "/usr/bin/python3.12"), LanguageRuntime.PYTHON),
        (made("uwsgi", "/usr/bin/uwsgi", library="/usr/lib/libpython3.9.so.1.0"), LanguageRuntime.PYTHON),
        (made("dotnet App.dll", "/usr/share/dotnet/dotnet"), LanguageRuntime.DOTNET),
        (
            made("/app/App", "/app/App", library="/usr/share/dotnet/shared/x/libcoreclr.so"),
            LanguageRuntime.DOTNET,
        ),
        (made("/server", "/server", go=True), LanguageRuntime.GO),
        (made("nginx: master", "/usr/sbin/nginx"), LanguageRuntime.UNKNOWN),
        (made("python-exporter", "/usr/bin/python-exporter"), LanguageRuntime.UNKNOWN),
    ],
)
def test_the_file_that_runs_counts_and_not_what_it_calls_itself(probe, runtime):
    assert detect_programs(probe)[0].runtime is runtime


def ways(probe, tools=TOOLS, folder="/tmp", ports=()):
    return possible_captures(detect_programs(probe)[0], CaptureMeans(tools, folder, "20250101-000000", ports))


def test_a_jvm_gets_jcmd_or_jmap_or_is_told_what_is_missing():
    dump = ways(made("java", "/bin/java"))[0]
    assert dump.command_text.endswith("1 GC.heap_dump /tmp/memtop-20250101-000000-1.hprof")
    assert (dump.size, dump.method) == (100 * MIB, CaptureMethod.FILE)
    dump = ways(made("java", "/bin/java"), {"jmap": "/bin/jmap"})[0]
    assert "-dump:live,format=b,file=/tmp/memtop-20250101-000000-1.hprof 1" in dump.command_text
    missing = ways(made("java", "/bin/java"), {})[0].missing
    assert missing.startswith("the image has no jcmd and no jmap and no jattach (a JRE only): add ")
    assert "neither to /tmp" in ways(made("java", "/bin/java"), folder="")[0].missing


def test_node_is_never_sent_a_signal_that_would_end_it():
    by_signal, by_inspector = ways(made("node app.js", "/bin/node"))[:2]
    assert "without --heapsnapshot-signal" in by_signal.missing
    assert not by_inspector.missing
    assert by_inspector.port == 9229
    by_signal = ways(made("node --heapsnapshot-signal SIGUSR2 app.js", "/bin/node"))[0]
    assert not by_signal.missing
    assert "kill -USR2" in by_signal.command_text
    assert "would end it" in ways(made("node --disable-sigusr1 app.js", "/bin/node"))[1].missing
    odd = ways(made("node", "/bin/node", variable="NODE_OPTIONS=--heapsnapshot-signal=SIGUSR2;rm\n"))[0]
    assert ";" not in odd.command_text.replace("'kill", "")


def test_go_is_asked_on_the_ports_it_listens_on():
    go = made("/server", "/server", go=True)
    own = ways(go, ports=[("0.0.0.0", 6060)])[0]
    assert "wget -q -O - http://127.0.0.1:6060/debug/pprof/heap" in own.command_text
    assert "http://10.0.0.7:9090/" in ways(go, ports=[("10.0.0.7", 9090)])[0].command_text
    assert ways(go, {}, ports=[("127.0.0.1", 6060)])[0].method is CaptureMethod.PORT
    assert "listens on no port" in ways(go)[0].missing


def test_dotnet_uses_the_helper_that_comes_with_the_runtime():
    probe = made("dotnet App.dll", "/usr/bin/dotnet", library="/usr/share/dotnet/shared/N/8.0/libcoreclr.so")
    dump = next(way for way in ways(probe) if way.suffix == ".dmp")
    helper = "/usr/share/dotnet/shared/N/8.0/createdump --withheap -f /tmp/memtop-"
    assert dump.command_text.startswith(helper)
    assert not dump.missing


def test_the_memory_map_is_always_there():
    for probe in (made("nginx", "/usr/sbin/nginx"), made("python3", "/usr/bin/python3")):
        assert next(way for way in ways(probe, {}, "") if not way.missing).command == ("cat", "/proc/1/smaps")
