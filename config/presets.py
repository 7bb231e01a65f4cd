"""The memory vocabulary that log lines are searched for, one regular expression a preset.

All are searched for without regard to case. Short words stand between word boundaries: a bare ``gc`` would
match every line of a program that has a ``gcp`` or a ``msgcount`` in it.
"""

from __future__ import annotations

DEFAULT_PRESETS: dict[str, str] = {
    "memory": (
        r"\b(memory|mem|heap|rss|oom(?:[-_ ]?kill\w*)?|out[- ]of[- ]memory|OutOfMemory\w*|MemoryError|"
        r"alloc(?:ation)?s? fail\w*|cannot allocate|bad_alloc|full gc|working[- ]set|swap)\b"
    ),
    "heap": (
        r"\b(heap|heap(?:Used|Total|Alloc|Inuse|Sys|Idle)|HeapDump\w*|"
        r"(?:old|young|eden|survivor|tenured|large object)[- _](?:gen(?:eration)?|space|heap|regions)|"
        r"metaspace)\b"
    ),
    "gc": (
        r"\b(gc|garbage[- ]collect\w*|full gc|g1|zgc|shenandoah|scavenge|mark[- ](?:sweep|compact)|"
        r"pause (?:young|full|remark|cleanup)|allocation failure|to-space (?:exhausted|overflow)|"
        r"gen[012] collection)\b"
    ),
    "oom": (
        r"\b(oom|oom[-_ ]?kill(?:ed|er|ing)?|oomkilled|out[- ]of[- ]memory|OutOfMemory(?:Error|Exception)?|"
        r"MemoryError|cannot allocate memory|alloc(?:ation)? failed|bad_alloc|killed process|enomem|"
        r"exit code:? 137)\b"
    ),
    "java": (
        r"\b(java\.lang\.OutOfMemoryError|OutOfMemoryError|java heap space|gc overhead limit|metaspace|"
        r"direct buffer memory|unable to create (?:new )?native thread|requested array size|"
        r"pause (?:young|full|remark|cleanup)|full gc|allocation failure|heap ?dump|to-space exhausted)\b"
    ),
    "node": (
        r"(javascript heap out of memory|reached heap limit|ineffective mark-compacts|allocation failed|"
        r"last few gcs|\b(?:scavenge|mark-(?:sweep|compact))\b|\bheap(?:Used|Total)\b|\barrayBuffers\b|"
        r"MaxListenersExceededWarning|\bmax[-_]old[-_]space[-_]size\b)"
    ),
    "python": (
        r"\b(MemoryError|tracemalloc|gc: (?:collecting|done)|uncollectable|"
        r"unable to allocate .* for an array|cannot allocate memory|memory_profiler|RecursionError)\b"
    ),
    "go": (
        r"(\bgc \d+ @|\bscvg\b|runtime: out of memory|fatal error: .*out of memory|\bGOMEMLIMIT\b|\bGOGC\b|"
        r"\b(?:HeapAlloc|HeapInuse|HeapSys|HeapIdle|HeapReleased|NumGC)\b|cannot allocate memory|"
        r"goroutine stack exceeds)"
    ),
    "dotnet": (
        r"\b(System\.OutOfMemoryException|OutOfMemoryException|InsufficientMemoryException|"
        r"gc heap (?:hard limit|size)|gen ?[012](?: gc| heap| size)|large object heap|loh|"
        r"DOTNET_GC\w+|induced gc|GCMemoryInfo)\b"
    ),
    "kernel": (
        r"\b(oom[-_]kill(?:er)?|invoked oom-killer|out of memory: kill\w*|memory cgroup out of memory|"
        r"killed process \d+|page allocation failure|memory\.(?:max|high|events)|"
        r"anon-rss|oom_score(?:_adj)?|oom_reaper)\b"
    ),
}
