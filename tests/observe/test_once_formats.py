"""What is printed of a frame: JSON, tables for a terminal, a table for an incident channel."""

import json
import re
from datetime import datetime

import pytest
from msgspec import structs

from memtop.analysis.judgement import Verdict
from memtop.commands.frame_output import as_json, as_markdown, as_table
from memtop.kube.api_objects import ResourceRequirements
from memtop.observe.frame_rows import group_by_workload, workload_rows

MI = 2**20


@pytest.fixture
async def night(stage, world):
    """A leak near its limit that was OOM-killed, one without limit, a crash loop, and init containers."""
    pod, container = world.pod, world.container
    done = container("setup", state=world.ended(-900, "Completed", 0))
    stage.put(
        pod(
            "user-1",
            container(limit="100Mi", request="50Mi", restarts=3, last=world.ended(-180)),
            owner=("ReplicaSet", "user-abc"),
            labels={"pod-template-hash": "abc"},
            created=-1800,
            init=[done],
        ),
        pod("batch", container(limit=None), container("log"), node=""),
        pod(
            "crash",
            container(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                restarts=40,
                last=world.ended(-20, "Error", 1),
            ),
        ),
        pod(
            "stuck", container(), init=[container("wait", state={"waiting": {"reason": "ImagePullBackOff"}})]
        ),
    )
    stage.tick(
        world.sample("user-1", -5, app="91Mi"),
        world.sample("batch", -7, app="300Mi", log="1Mi"),
    )
    stage.judged("user-1", Verdict.LEAK, 0.97, rate=12 * MI, seconds=2700.0)
    return stage


class TestJson:
    @pytest.fixture
    def document(self, night):
        return json.loads(as_json(night.frame()))

    def container(self, document, pod, name="app"):
        return next(one for one in document["containers"] if (one["pod"], one["container"]) == (pod, name))

    async def test_the_promised_keys_are_there(self, document):
        assert set(document) >= {"context", "namespace", "time", "sources", "containers"}
        promised = {
            *("namespace", "pod", "container", "kind", "workload", "node", "working_set_bytes"),
            *("limit_bytes", "request_bytes", "limit_ratio", "restarts", "restarts_last_hour", "state"),
            *("last_termination", "growth_bytes_per_hour", "seconds_to_limit", "verdict"),
        }
        for one in document["containers"]:
            assert set(one) >= promised

    async def test_figures(self, document):
        one = self.container(document, "user-1")
        assert one["namespace"] == "shop"
        assert one["kind"] == "container"
        assert one["workload"] == {"kind": "Deployment", "name": "user"}
        assert one["node"] == "node-1"
        assert one["working_set_bytes"] == 91 * MI
        assert one["limit_bytes"] == 100 * MI
        assert one["request_bytes"] == 50 * MI
        assert one["limit_ratio"] == 0.91
        assert (one["restarts"], one["restarts_last_hour"]) == (3, 3)
        assert one["state"] == "Running"
        assert one["growth_bytes_per_hour"] == 12 * MI
        assert one["seconds_to_limit"] == 2700
        assert one["verdict"] == "leak"
        assert one["verdict_confidence"] == 0.97
        assert one["evidence"].startswith("floor rises")

    async def test_times_are_iso_8601_in_utc(self, document):
        assert document["time"] == "2027-01-15T08:00:00Z"
        ended = self.container(document, "user-1")["last_termination"]
        assert ended == {"reason": "OOMKilled", "exit_code": 137, "finished_at": "2027-01-15T07:57:00Z"}

    async def test_each_sample_says_how_old_it_is(self, document):
        now = datetime.fromisoformat(document["time"])
        known = [one for one in document["containers"] if one["sampled_at"]]
        assert known
        for one in known:
            age = (now - datetime.fromisoformat(one["sampled_at"])).total_seconds()
            assert one["sample_age_seconds"] == pytest.approx(age, abs=1)

    async def test_what_is_unknown_is_null(self, document):
        batch, crash = self.container(document, "batch"), self.container(document, "crash")
        for key in ("limit_bytes", "request_bytes", "limit_ratio", "node", "last_termination"):
            assert batch[key] is None, key
        for key in ("working_set_bytes", "sampled_at", "sample_age_seconds", "seconds_to_limit"):
            assert crash[key] is None, key
        assert crash["verdict"] == "not enough data"
        assert document["namespace"] is None

    async def test_containers_go_by_working_set_and_the_unknown_come_last(self, document):
        sizes = [one["working_set_bytes"] for one in document["containers"]]
        known = [size for size in sizes if size is not None]
        assert known == sorted(known, reverse=True)
        assert sizes[: len(known)] == known
        unknown = [(one["pod"], one["container"]) for one in document["containers"][len(known) :]]
        assert unknown == sorted(unknown)

    async def test_init_containers_are_there_and_told_apart(self, document):
        assert self.container(document, "user-1", "setup")["kind"] == "init"
        assert self.container(document, "user-1", "setup")["state"] == "Completed"

    async def test_an_observed_namespace_is_named(self, night):
        from memtop.observe.view import Scope

        night.observer.scope = Scope(("shop", "other"))
        assert json.loads(as_json(night.frame()))["namespace"] == "shop,other"

    async def test_it_is_json_to_the_letter(self, night):
        assert "NaN" not in as_json(night.frame())
        assert "Infinity" not in as_json(night.frame())


class TestTables:
    @pytest.fixture(params=[False, True], ids=["table", "wide"])
    def wide(self, request):
        return request.param

    async def test_columns_are_aligned(self, night, wide):
        lines = as_table(night.frame(), wide=wide).splitlines()
        head = lines[0]
        for title in ("POD", "LAST END", "VERDICT", "STATE"):
            at = head.index(title)
            assert all(line[at - 1] == " " and line[at] != " " for line in lines[1:]), title
        for title in ("MEMORY", "LIMIT", "USED", "RESTARTS"):
            end = head.index(title) + len(title)
            assert all(line[end - 1] != " " and line[end : end + 1] in (" ", "") for line in lines), title

    async def test_a_line_says_it_all(self, night):
        line = next(line for line in as_table(night.frame()).splitlines() if "user-1" in line)
        words = "shop user-1 91 MiB 100 MiB 91 % 3 3 OOMKilled 3 min ago +12 MiB/h 45 m leak Running"
        assert line.split() == words.split()

    async def test_the_age_of_an_old_sample_is_said(self, night):
        night.at = 140.0
        assert "91 MiB   100 MiB" in as_table(night.frame())
        night.at = 400.0
        assert "91 MiB, 6 min old" in as_table(night.frame())
        assert "91 MiB, 6 min old" in as_markdown(night.frame())

    async def test_wide_has_more_columns(self, night):
        line = next(line for line in as_table(night.frame(), wide=True).splitlines() if "user-1" in line)
        assert line.split()[2] == "container"
        assert line.endswith("deployment/user   node-1")
        assert "50 MiB" in line

    async def test_a_lower_bound_looks_like_one(self, night):
        line = next(line for line in as_table(night.frame()).splitlines() if "crash" in line)
        assert "1+" in line

    async def test_containers_are_named_where_a_pod_has_several(self, night):
        text = as_table(night.frame())
        assert "batch/log" in text
        assert "user-1/app" not in text

    async def test_init_containers_are_shown_only_until_they_are_done(self, night):
        text = as_table(night.frame())
        assert "user-1/setup" not in text
        assert "stuck/wait" in text

    async def test_there_are_no_colours(self, night, wide):
        assert "\x1b" not in as_table(night.frame(), wide=wide)

    async def test_a_doubtful_leak_is_suspected(self, night):
        night.judged("user-1", Verdict.LEAK, 0.7, rate=12 * MI, seconds=2700.0)
        assert "suspected leak" in as_table(night.frame())

    async def test_an_empty_cluster_has_headings_alone(self, stage):
        assert as_table(stage.frame()).splitlines()[0].startswith("NAMESPACE")
        assert len(as_table(stage.frame()).splitlines()) == 1


class TestMarkdown:
    async def test_it_is_a_table(self, night):
        lines = as_markdown(night.frame()).splitlines()
        table = [line for line in lines if line.startswith("|")]
        assert len({line.count("|") for line in table}) == 1
        assert re.fullmatch(r"(\| -+:? )+\|", table[1])

    async def test_what_asks_for_attention_comes_first(self, night):
        rows = [line for line in as_markdown(night.frame()).splitlines() if line.startswith("| shop")]
        assert ["user-1" in rows[0], "batch" in rows[-2] or "batch" in rows[-1]] == [True, True]
        assert any("crash" in row for row in rows[:3])

    async def test_a_summary_stands_above_it(self, night):
        text = as_markdown(night.frame())
        assert text.startswith("**memory in test, all namespaces** at 2027-01-15T08:00:00Z")
        assert "1 leaking" in text
        assert "1 near the limit" in text
        assert "what asks for attention first, then by memory" in text

    async def test_a_big_cluster_is_cut_and_says_so(self, stage, world):
        stage.put(*(world.pod(f"p{number}") for number in range(100)))
        text = as_markdown(stage.frame())
        assert text.count("| shop |") == 40
        assert "and 60 more containers" in text

    async def test_markup_in_names_is_not_interpreted(self, stage, world):
        stage.put(world.pod("a|b*c_<script>`"))
        row = next(line for line in as_markdown(stage.frame()).splitlines() if line.startswith("| shop"))
        assert r"a\|b\*c\_\<script\>\`" in row


class TestLimitOfThePod:
    """160 MiB for two containers that have none of their own."""

    @pytest.fixture
    async def shared(self, stage, world):
        made = world.pod("db", world.container("leaky", limit=None), world.container("calm", limit=None))
        resources = ResourceRequirements(limits={"memory": "160Mi"})
        stage.put(structs.replace(made, spec=structs.replace(made.spec, resources=resources)))
        stage.tick(world.sample("db", -5, leaky="100Mi", calm="20Mi"))
        return stage.frame()

    async def test_it_is_marked_and_what_the_others_hold_counts(self, shared):
        for line in as_table(shared).splitlines()[1:]:
            assert "160 MiB (pod)   75 %" in line
        for one in json.loads(as_json(shared))["containers"]:
            assert (one["limit_bytes"], one["limit_of_pod"], one["limit_ratio"]) == (160 * MI, True, 0.75)

    async def test_it_counts_once_for_the_workload(self, shared, stage):
        groups = group_by_workload(stage.observer.store)
        rows = workload_rows(groups, shared.rows, stage.observer.workload_verdicts)
        assert rows.limit.tolist() == [160 * MI]
        assert rows.share.tolist() == [0.75]
