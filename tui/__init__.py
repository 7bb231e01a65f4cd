"""The Textual application: screens, key bindings, dialogs and commands."""
