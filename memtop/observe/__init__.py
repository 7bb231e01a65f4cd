"""Live observation of one cluster: sources fill a store, the store is judged, frames come out."""
