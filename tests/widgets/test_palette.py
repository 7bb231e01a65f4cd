import pytest
from textual.app import App
from textual.theme import BUILTIN_THEMES
from textual.widgets import Static

from widgets.cell_graphs import sparkline, usage_bar
from widgets.styled_text import ROLES, role_styles


@pytest.mark.parametrize("symbols", ["braille", "block", "ascii"])
def test_graphs_use_roles_and_no_colours(symbols):
    graphs = [usage_bar(ratio, 20, 0.7, 0.9, symbols) for ratio in (None, 0.1, 0.8, 0.95)]
    graphs += [sparkline([1.0, 2.0], 20, top, symbols) for top in (None, 4.0)]
    used = {
        style for graph in graphs for style in (graph.style, *(span.style for span in graph.spans)) if style
    }
    assert used <= set(ROLES)


async def test_in_every_theme_warnings_and_what_is_critical_stand_out():
    app = App[None]()
    async with app.run_test() as pilot:
        widget = Static()
        await app.mount(widget)
        for theme in BUILTIN_THEMES:
            app.theme = theme
            await pilot.pause()
            styles = role_styles(widget)
            assert set(styles) == set(ROLES)
            assert styles["warn"] != styles["critical"], theme
            for role in ("warn", "critical"):
                assert styles[role].bold, theme
                assert styles[role].color != widget.rich_style.color, theme
            assert all(style.bgcolor is None for style in styles.values())
