from textual.app import App, ComposeResult

from widgets.panes import MessagePanel, PanelMessage

FAILED = PanelMessage(
    "The credential plugin failed",
    "'aws' (users[0] of [bold]config[/bold]) ended with exit code 1.",
    "AccessDenied: [/nonsense] \x1b[31mred\x1b[0m\n\tstatus: 403\r\n",
    details_title="It said [on] stderr",
    steps=["Run it by hand", "Choose another context"],
    keys=[("r", "try again"), ("[", "previous")],
)


class Panel(App[None]):
    def compose(self) -> ComposeResult:
        yield MessagePanel(FAILED)


def screen(app: App[None]) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def test_all_words_are_there_and_literal():
    app = Panel()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = screen(app)
        for words in (
            "The credential plugin failed",
            "users[0] of [bold]config[/bold]",
            "[/nonsense] �[31mred�[0m",
            "status: 403",
            "It said [on] stderr",
            "1  Run it by hand",
            "2  Choose another context",
            " [  previous",
        ):
            assert words in text, words
        assert "\x1b" not in text


async def test_without_details_there_is_no_empty_box():
    app = Panel()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(MessagePanel).show(PanelMessage("No context", "There is none."))
        await pilot.pause()
        assert "No context" in screen(app)
        assert "╭" not in screen(app)
        assert "Run it by hand" not in screen(app)


async def test_a_long_story_can_be_scrolled():
    app = Panel()
    async with app.run_test(size=(60, 12)) as pilot:
        panel = app.query_one(MessagePanel)
        panel.show(
            PanelMessage(
                "Failed", "So it was.", "\n".join(f"line {i}" for i in range(50)), steps=["Try again"]
            )
        )
        panel.focus()
        await pilot.pause()
        assert "Failed" in screen(app)
        await pilot.press("end")
        await pilot.pause()
        assert "Try again" in screen(app)
