"""Changes on the screen: what is allowed here, the forms, the plan with its yes, and the outcome."""
