"""Every option once: flags, MEMTOP_* variables and a TOML file."""
