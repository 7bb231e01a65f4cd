"""``memtop set image`` and ``memtop set memory``: plan, question and exit code."""

import io
import json
import os
import signal

import pytest

from memtop.change.audit_log import AuditLog
from memtop.change.change_plan import ChangePlanLine
from memtop.change.change_request import SetImage, SetMemory
from memtop.commands.change import ApplyTerms, Console, plan_and_apply, plan_table
from memtop.demo.api_resources import DEPLOYMENTS
from memtop.kube.object_ref import ObjectRef
from tui.cli import main

USERS = ObjectRef("Deployment", "production", "user-service")
USERS_KEY = ("production", "user-service")
ORDERS = ObjectRef("Deployment", "production", "order-service")
IMAGE = SetImage(USERS, "user-service", "user-service:v2.1.0")
YES, PROTECTED = ApplyTerms(yes=True), ("memtop-*",)


class Keyboard(io.StringIO):
    """Somebody who answers; each answer is a text, or something that is done first and returns it."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)

    def isatty(self):
        return True

    def readline(self, *_):
        answer = self.answers.pop(0) if self.answers else ""
        if callable(answer):
            answer = answer()
        return f"{answer}\n" if answer else ""


@pytest.fixture
def run(demo, target_of, tmp_path):
    """``run(change, terms, keyboard)``: exit code, what was printed, what was warned of."""

    def go(change, terms=YES, keyboard=None, user="admin"):
        console = Console(io.StringIO(), io.StringIO(), keyboard or io.StringIO())
        log = AuditLog(tmp_path / "audit.jsonl")
        code = plan_and_apply(target_of(demo, user), change, terms, console, log)
        return code, console.out.getvalue(), console.err.getvalue()

    return go


@pytest.fixture
def image(demo):
    """The image that user-service has now."""

    def now():
        found = demo.call(lambda: json.loads(json.dumps(stored(demo, "user-service"))))
        return found["spec"]["template"]["spec"]["containers"][0]["image"]

    return now


def stored(demo, name):
    from memtop.demo.api_resources import DEPLOYMENTS

    return demo.server.cluster.store.get(DEPLOYMENTS, "production", name).plain()


@pytest.fixture
def outcomes(tmp_path):
    return lambda: [one.outcome for one in AuditLog(tmp_path / "audit.jsonl").entries()]


def test_yes_beforehand(run, image, outcomes):
    code, out, err = run(IMAGE)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "Set the image of user-service"
    assert "user-service:v2.0.0 → user-service:v2.1.0" in out
    assert out.splitlines()[-1] == "deployment/user-service image updated"
    assert image() == "user-service:v2.1.0"
    assert outcomes() == ["applied"]


@pytest.mark.parametrize("answer", ["y", "Yes"])
def test_yes_when_asked(run, image, answer):
    code, _, err = run(IMAGE, ApplyTerms(), Keyboard(answer))
    assert (code, image()) == (0, "user-service:v2.1.0")
    assert "Apply it? [y/N]" in err


@pytest.mark.parametrize("answer", ["", "n", "yep", "user-service"])
def test_anything_else_is_no(run, image, outcomes, answer):
    code, _, err = run(IMAGE, ApplyTerms(), Keyboard(answer))
    assert (code, image()) == (1, "user-service:v2.0.0")
    assert err.endswith("memtop: nothing is changed\n")
    assert outcomes() == ["declined"]


def test_ctrl_c_is_no(run, image, outcomes):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(IMAGE, ApplyTerms(), Keyboard(interrupt))
    assert image() == "user-service:v2.0.0"
    assert outcomes() == ["declined"]


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def number(request):
    """A signal that ends a program, also where the tests run under nohup."""
    before = signal.signal(request.param, signal.SIG_DFL)
    yield request.param
    signal.signal(request.param, before)


def test_a_signal_at_the_question_is_no(run, image, outcomes, number):
    with pytest.raises(SystemExit) as ended:
        run(IMAGE, ApplyTerms(), Keyboard(lambda: os.kill(os.getpid(), number)))
    assert ended.value.code == 128 + number
    assert image() == "user-service:v2.0.0"
    assert outcomes() == ["declined"]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_nobody_to_ask(run, image, outcomes):
    code, out, err = run(IMAGE, ApplyTerms())
    assert (code, image()) == (2, "user-service:v2.0.0")
    assert "add --yes" in err
    assert "user-service:v2.1.0" in out  # the plan is shown all the same
    assert outcomes() == ["declined"]


def test_only_to_see_it(run, image, outcomes):
    code, out, _ = run(IMAGE, ApplyTerms(yes=True, dry_run=True))
    assert (code, image()) == (0, "user-service:v2.0.0")
    assert out.endswith("dry run: nothing is changed\n")
    assert outcomes() == ["dry run"]


def test_read_only(run, image):
    code, out, err = run(IMAGE, ApplyTerms(yes=True, read_only=True))
    assert (code, out, image()) == (1, "", "user-service:v2.0.0")
    assert "memtop is read-only" in err


def test_without_the_right(run, image):
    code, _, err = run(IMAGE, user="readonly")
    assert (code, image()) == (1, "user-service:v2.0.0")
    assert "you may not patch deployments.apps in the namespace production" in err


def test_protected_contexts_want_the_name(run, image):
    code, _, err = run(IMAGE, ApplyTerms(yes=True, protected=PROTECTED))
    assert code == 2
    assert "is protected: add --confirm user-service" in err
    code, _, err = run(IMAGE, ApplyTerms(yes=True, confirm="users", protected=PROTECTED))
    assert code == 2
    assert "--confirm 'users' is not the name 'user-service'" in err
    code, _, _ = run(IMAGE, ApplyTerms(protected=PROTECTED), Keyboard("y"))
    assert (code, image()) == (1, "user-service:v2.0.0")
    code, _, _ = run(IMAGE, ApplyTerms(protected=PROTECTED), Keyboard("user-service"))
    assert (code, image()) == (0, "user-service:v2.1.0")


def test_the_name_as_a_flag(run, image):
    assert run(IMAGE, ApplyTerms(confirm="user-service", protected=PROTECTED))[0] == 0
    assert image() == "user-service:v2.1.0"


def test_a_change_while_somebody_thinks_shows_the_new_plan(run, demo, image, outcomes):
    def meanwhile():
        def edit(found):
            found["spec"]["replicas"] = 4

        demo.call(lambda: demo.server.cluster.store.edit(DEPLOYMENTS, ("production", "user-service"), edit))
        return "y"

    code, out, err = run(IMAGE, ApplyTerms(), Keyboard(meanwhile, "y"))
    assert (code, image()) == (0, "user-service:v2.1.0")
    assert "it was changed in the meantime: nothing is written" in err
    assert out.count("Set the image of user-service") == 2
    assert "3 pods wanted" in out
    assert "4 pods wanted" in out
    assert outcomes() == ["conflict", "applied"]


@pytest.mark.parametrize("terms", [YES, ApplyTerms(confirm="user-service", protected=PROTECTED)])
def test_a_yes_beforehand_is_no_yes_to_another_plan(run, demo, image, outcomes, monkeypatch, terms):
    tell, shown = Console.show_plan, []

    def told(self, plan):
        tell(self, plan)
        shown.append(plan)
        if len(shown) == 1:
            demo.call(lambda: demo.server.cluster.store.edit(DEPLOYMENTS, USERS_KEY, scaled))

    def scaled(found):
        found["spec"]["replicas"] = 4

    monkeypatch.setattr(Console, "show_plan", told)
    code, _, err = run(IMAGE, terms, Keyboard("n"))
    assert (code, image(), len(shown)) == (1, "user-service:v2.0.0", 2)
    assert "it was changed in the meantime: nothing is written" in err
    assert outcomes() == ["conflict", "declined"]


def test_mistakes(run):
    code, _, err = run(SetImage(USERS, "user-service", "User-Service:v2"))
    assert (code, "capital letters" in err) == (2, True)
    code, _, err = run(SetImage(USERS, "nope", "a:b"))
    assert (code, "it has user-service" in err) == (2, True)
    code, _, err = run(SetMemory(USERS, "user-service", "64Mi", "32Mi"))
    assert (code, "below what it uses now" in err) == (2, True)
    code, _, err = run(SetImage(ObjectRef("Deployment", "production", "nope"), "a", "a:b"))
    assert (code, 'deployments.apps "nope" not found' in err) == (1, True)


def test_nothing_to_do(run, outcomes):
    code, out, _ = run(SetImage(USERS, "user-service", "user-service:v2.0.0"))
    assert (code, out) == (0, "nothing to do: that is the image it has\n")
    assert outcomes() == []


def test_the_only_container_need_not_be_named(run):
    assert run(SetMemory(USERS, "", "4Gi"))[0] == 0
    code, _, err = run(SetMemory(ORDERS, "", "4Gi"))
    assert (code, "say which of order-service, log-agent" in err) == (1, True)


def test_a_plan_is_wrapped_but_for_what_is_copied():
    command = "kubectl " + "x" * 60
    lines = [ChangePlanLine("pods", "word " * 20, "critical"), ChangePlanLine("kubectl", command, "command")]
    shown = list(plan_table(lines, 40))
    assert all(len(line) <= 40 for line in shown[:-1])
    assert shown[0].startswith("  pods     !! word")
    assert shown[1].startswith("           word")
    assert shown[-1] == f"  kubectl  {command}"
    assert len(list(plan_table(lines, None))) == 2


def test_what_a_kubeconfig_is_full_of_does_not_reach_the_terminal():
    console = Console(io.StringIO(), io.StringIO(), Keyboard("y"))
    (line,) = plan_table([ChangePlanLine("object", "context \x1b[31mred\x07")], None)
    assert line == "  object  context red"
    console.say("\x1b]0;title\x07done")
    console.warn("the context \x1b[2Jred is protected")
    assert console.ask("The context \x1b[2Jred?") == "y"
    assert console.out.getvalue() == "done\n"
    assert console.err.getvalue() == "memtop: the context red is protected\nThe context red? "


# -- the command line


@pytest.fixture
def command(demo, tmp_path, monkeypatch, capsys):
    """``command("set", "image", …)``: the whole program against the demo."""
    path = tmp_path / "kubeconfig"
    path.write_text(demo.kubeconfig())
    monkeypatch.setenv("KUBECONFIG", str(path))
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*words):
        code = main(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_set_image(command, image):
    words = ("set", "image", "deploy/user-service", "user-service=user-service:v2.1.0")
    assert command(*words, "--dry-run")[0] == 0
    assert command(*words)[0] == 2
    assert image() == "user-service:v2.0.0"
    code, out, _ = command(*words, "-n", "production", "--yes")
    assert (code, image()) == (0, "user-service:v2.1.0")
    kubectl = next(line for line in out.splitlines() if line.lstrip().startswith("kubectl "))
    assert "--kubeconfig" not in kubectl  # $KUBECONFIG names it
    assert command("--read-only", *words, "--yes")[0] == 1


def test_set_memory(command):
    code, out, _ = command(
        "set", "memory", "deployment", "order-service", "log-agent", "--limit=256Mi", "--yes"
    )
    assert code == 0
    assert "memory limit of log-agent  128Mi → 256Mi" in out
    assert out.endswith("deployment/order-service resource requirements updated\n")


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (("image", "deployment/a", "b"), "'b' is not CONTAINER=IMAGE"),
        (("image", "deployment/a"), "needs KIND/NAME CONTAINER=IMAGE"),
        (("image", "job/a", "b=c"), "is a Job"),
        (("memory", "deployment/a"), "needs --limit, --request or both"),
        (("memory", "deployment/a", "b", "c", "--limit", "1Gi"), "no use for 'c'"),
        (("image", "deployment/a", "b=c", "-A"), "needs one namespace"),
        (("image", "deployment/a", "b=c", "--context", "nope"), "nope"),
    ],
)
def test_mistakes_on_the_command_line(command, words, about):
    code, out, err = command("set", *words)
    assert (code, out) == (2, "")
    assert about in err
    assert err.count("\n") == 1


def test_audit(command):
    code, out, err = command("audit")
    assert (code, out) == (0, "")
    assert "no plan is recorded in " in err
    command("set", "image", "deployment/user-service", "user-service=user-service:v2.1.0", "--yes")
    code, out, _ = command("audit", "--since", "1h")
    assert code == 0
    assert "applied" in out
    assert "user-service:v2.0.0 → user-service:v2.1.0" in out
    (one,) = json.loads(command("audit", "-o", "json")[1])
    assert (one["outcome"], one["user"], one["namespace"]) == ("applied", "admin", "production")
