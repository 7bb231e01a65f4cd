from __future__ import annotations

import asyncio

import pytest
from textual.app import App
from textual.events import Key, Paste
from textual.widgets import Static

from widgets.confirm import PlanLine
from widgets.form import FormChoice, FormDialog, FormField, FormNote, FormValueError

NOTHING = object()
OLD, NEW = "registry:5000/user-service:v2.0.0", "registry:5000/user-service:v2.1.0"
IMAGE = FormField("image", "image", OLD, selected=(OLD.index("v2"), len(OLD)))
CHOICES = (
    FormChoice({"image": OLD}, "v2.0.0", "now"),
    FormChoice({"image": NEW}, "v2.1.0", "revision 4"),
)


def check(values):
    if values["image"] == OLD:
        return FormNote("that image runs already", "image")
    if " " in values["image"]:
        return FormNote("no [image] has a space", "image")
    return FormNote(lines=[PlanLine("means", f"pull {values['image']}")])


class Host(App[None]):
    def __init__(self, fields=(IMAGE,), check=check, make=None, **rest) -> None:
        super().__init__()
        self.made: list[dict[str, str]] = []
        self.result: object = NOTHING
        self.form = FormDialog("Image of [x]", fields, check, make or self.make, **rest)

    async def make(self, values):
        self.made.append(dict(values))
        return dict(values)

    def on_mount(self) -> None:
        def keep(value: object) -> None:
            self.result = value

        self.push_screen(self.form, keep)

    @property
    def text(self) -> str:
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())


async def test_typing_replaces_the_part_that_is_selected():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "Image of [x]" in app.text
        await pilot.press(*"v2.2", "enter")
        await pilot.pause()
        assert app.result == {"image": "registry:5000/user-service:v2.2"}


async def test_what_is_wrong_is_said_while_one_types_and_only_then_as_a_reproach():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "that image runs already" in app.text
        assert "! that" not in app.text
        await pilot.press("a", "space")
        await pilot.pause()
        await pilot.press("b")
        await pilot.pause()
        assert "! no [image] has a space" in app.text
        await pilot.press("backspace", "backspace")
        await pilot.pause()
        assert "space" not in app.text
        assert "pull registry:5000/user-service:a" in app.text


async def test_nothing_is_made_of_values_with_a_problem():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert app.made == []
        assert app.result is NOTHING
        assert "! that image runs already" in app.text


async def test_escape_leaves_it():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
        assert app.result is None


async def burst(app, pilot, *keys):
    """Presses keys without waiting for what any of them does."""
    for key in keys:
        app.post_message(Key(key, {"enter": "\r"}.get(key, key if len(key) == 1 else None)))
    await pilot.pause()


async def test_what_follows_enter_changes_nothing_until_a_plan_is_made():
    made, go_on = [], asyncio.Event()

    async def slow(values):
        made.append(dict(values))
        await go_on.wait()

    app = Host(make=slow, choices=CHOICES)
    async with app.run_test() as pilot:
        await pilot.pause()
        await burst(app, pilot, *"v3", "enter", "y", "backspace", "down", "enter", "tab", "x")
        await pilot.press("z", "backspace", "up")
        app.post_message(Paste("more"))
        await pilot.pause()
        wanted = {"image": "registry:5000/user-service:v3"}
        assert made == [wanted]
        assert app.form.values == wanted
        go_on.set()
        await pilot.pause()
        await pilot.press("y")
        await pilot.pause()
        assert app.form.values == {"image": "registry:5000/user-service:v3y"}, "it can be gone on with"


async def test_after_a_refusal_one_types_on():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        await burst(app, pilot, "enter", "y")
        await pilot.pause()
        assert app.form.values == {"image": OLD}
        await pilot.press("a")
        await pilot.pause()
        assert app.form.values == {"image": "registry:5000/user-service:a"}


async def test_words_of_before_do_not_lie_on_it():
    app = Host()
    async with app.run_test(notifications=True) as pilot:
        await pilot.pause()
        app.notify("from before")
        await pilot.pause()
        assert "from before" in app.text
        await app.push_screen(FormDialog("Next", (IMAGE,), check, app.make))
        await pilot.pause()
        assert not app.screen.query("Toast"), "those of the screen below lie below"


async def test_offers_go_into_the_field_and_what_was_typed_comes_back():
    app = Host(choices=CHOICES, offers="Images that ran here")
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "Images that ran here" in app.text
        await pilot.press("x", "down", "down")
        await pilot.pause()
        assert app.form.values == {"image": NEW}
        assert f"pull {NEW}" in app.text
        await pilot.press("up", "up")
        await pilot.pause()
        assert app.form.values == {"image": "registry:5000/user-service:x"}
        await pilot.press("down", "down", "down", "down", "enter")
        await pilot.pause()
        assert app.result == {"image": NEW}


async def test_an_offer_that_is_changed_is_what_was_typed():
    app = Host(choices=CHOICES)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("down", "down", *"-rc1")
        await pilot.pause()
        assert app.form.offers.at == -1
        await pilot.press("down", "up")
        await pilot.pause()
        assert app.form.values == {"image": f"{NEW}-rc1"}


async def test_a_click_takes_an_offer():
    app = Host(choices=CHOICES)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.click(app.form.offers, offset=(4, 2))
        await pilot.pause()
        assert app.form.values == {"image": NEW}


async def test_what_was_typed_stays_when_nothing_could_be_made_of_it():
    async def refuse(values):
        raise FormValueError("the server [says] no")

    app = Host(make=refuse)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*"v3", "enter")
        await pilot.pause()
        assert "! the server [says] no" in app.text
        assert app.form.values == {"image": "registry:5000/user-service:v3"}
        assert app.result is NOTHING


async def test_escape_stops_what_is_under_way_before_it_leaves():
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def wait(values):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    app = Host(make=wait)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*"v3", "enter")
        await asyncio.wait_for(begun.wait(), 10)
        assert "making the plan" in app.text
        await pilot.press("escape")
        await asyncio.wait_for(stopped.wait(), 10)
        assert app.result is NOTHING
        assert app.form.values == {"image": "registry:5000/user-service:v3"}
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
        assert app.result is None


async def test_the_app_may_end_while_something_is_made():
    begun = asyncio.Event()

    async def wait(values):
        begun.set()
        await asyncio.Event().wait()

    app = Host(make=wait)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*"v3", "enter")
        await asyncio.wait_for(begun.wait(), 10)
    assert app.result is NOTHING


async def test_making_nothing_goes_on_with_the_form():
    async def decline(values):
        return None

    app = Host(make=decline)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*"v3", "enter")
        await pilot.pause()
        assert app.result is NOTHING
        assert app.screen is app.form


@pytest.mark.parametrize("size", [(120, 36), (60, 16)])
async def test_two_fields_each_with_its_own_problem(size):
    def both(values):
        if not values["limit"]:
            return FormNote("there is no limit", "limit")
        return FormNote("too much is asked for", "request") if values["request"] else FormNote()

    fields = (FormField("limit", "limit", hint="2Gi"), FormField("request", "request", hint="1Gi"))
    app = Host(fields, both, facts=[PlanLine("now", "512 MiB")])
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "512 MiB" in app.text
        assert "there is no limit" in app.text
        await pilot.press("4", "tab", "9")
        await pilot.pause()
        assert "! too much is asked for" in app.text
        await pilot.press("backspace", "shift+tab", "backspace", "enter")
        await pilot.pause()
        assert app.result is NOTHING
        problem = app.form.query_one("#limit-problem", Static)
        assert str(problem.content) == "! there is no limit", "it stays at its field"
        await pilot.press("4", "enter")
        await pilot.pause()
        assert app.result == {"limit": "4", "request": ""}
