"""Observation: sources feed a store, the store is judged, and a frame is what a screen may show."""
