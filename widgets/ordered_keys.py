"""Keys in their order: what one key does is done before the next one is looked at, however fast they come."""

from __future__ import annotations

import asyncio
from collections import deque

from textual import events
from textual.app import App, ReturnType
from textual.message import Message

_LOST_SECONDS = 0.5
"""After this time a key counts as done: the widget that had it is gone, or waits for something itself."""
_MOST_AHEAD = 256
"""Keys that are kept back at most: more than anybody types ahead, and an image's name that is pasted into a
terminal which does not mark what is pasted. Escape bytes in a paste come as tens of thousands of keys."""
_STEPS = 2
"""A marker comes back to the app this often. The first time it has followed the key through the widgets; the
second time it has also followed the messages that the key's action sent to the app, such as one that opens a
screen."""


class KeyDone(Message):
    """Follows a key through the same queues, and so arrives when the key has had its effect."""

    bubble = True
    steps = 0


class OrderedKeys(App[ReturnType]):
    """An app in which a key never overtakes the effect of the key before it.

    Textual hands a key to the queue of the widget that has the focus and looks at the next key at once. A key
    that opens a form takes effect only after it has come back up to the app, and what was typed for the form
    would already be on its way to the page beneath.
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed_ahead: deque[events.Key | events.Paste] = deque()
        self._under_way: KeyDone | None = None
        self._left_out = 0

    async def on_event(self, event: events.Event) -> None:
        """Keeps a key back while one before it is under way."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._under_way is None:
            await self._hand_on(event)
        elif len(self._typed_ahead) < _MOST_AHEAD:
            self._typed_ahead.append(event)
        else:
            self._left_out += 1

    async def _hand_on(self, event: events.Event) -> None:
        await super().on_event(event)
        if event.is_forwarded:  # else a priority binding has dealt with it
            marker = KeyDone()
            if not (self.focused or self.screen).post_message(marker):
                return  # it is being closed
            self._under_way = marker
            asyncio.get_running_loop().call_later(_LOST_SECONDS, self._give_up, marker)

    def _give_up(self, marker: KeyDone) -> None:
        if marker is self._under_way and self.is_running:
            marker.steps = _STEPS
            self.post_message(marker)

    async def on_key_done(self, marker: KeyDone) -> None:
        """Goes on with the next key."""
        if marker is not self._under_way:
            return
        marker.steps += 1
        if marker.steps < _STEPS:
            self.post_message(marker)
            return
        self._under_way = None
        while self._typed_ahead and self._under_way is None:
            await self._hand_on(self._typed_ahead.popleft())
        if self._left_out and not self._typed_ahead:
            self.notify(f"{self._left_out:,} keys came faster than they can be looked at, and were left out")
            self._left_out = 0
