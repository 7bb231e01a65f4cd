"""Only what memtop uses of the Kubernetes client is imported, and the rest can still be had."""

import subprocess
import sys

PROGRAM = """
import sys
from memtop.kube.transport import Configuration, RESTClientObject
assert not {name for name in sys.modules if name.startswith("kubernetes")}, "nothing is left half imported"
assert RESTClientObject.__module__ == "kubernetes.aio.client.rest"
assert Configuration(host="https://somewhere").host == "https://somewhere"
from kubernetes import client
from kubernetes.aio.client import ApiClient, rest
print(client.CoreV1Api.__name__, ApiClient.__name__, rest.RESTClientObject.__name__)
"""


def test_the_rest_of_the_client_stays_away_until_somebody_wants_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("CoreV1Api ApiClient RESTClientObject\n", "")
