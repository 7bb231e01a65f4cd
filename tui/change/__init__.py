"""From a key to a change: what can be done here, the forms, the plan with its yes, and what came of it."""
