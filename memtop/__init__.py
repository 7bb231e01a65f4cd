"""memtop: from "something is being OOM-killed" to "the fix has held", in one terminal."""

__version__ = "0.1.0"
