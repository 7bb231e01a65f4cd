"""Code to add to an application, in its language: a health endpoint, a bounded cache, streaming, a warning.

Each is short enough to be read before it is pasted, and appears only where the evidence calls for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from memtop.analysis.judgement import Judgement, Verdict
from memtop.heap.runtime_detection import LanguageRuntime

WARN_SHARE = 0.9
"""Of the heap from which an application should warn: from there on collections come in rows."""


@dataclass(frozen=True)
class CodeAdvice:
    """A piece of code with the reason for it.

    Attributes:
        id: Names it.
        title: What to do.
        reason: Why, and what it does not do.
        code: Lines to add; empty where a sentence is enough.
    """

    id: str
    title: str
    reason: str
    code: str


_HEALTH: Final[Mapping[LanguageRuntime, str]] = {
    LanguageRuntime.NODE: """\
const v8 = require('node:v8');
app.get('/health/memory', (request, response) => {
  const { rss, heapUsed, external } = process.memoryUsage();
  const limit = v8.getHeapStatistics().heap_size_limit;
  response.json({ rss, heapUsed, external, heapLimit: limit, share: heapUsed / limit });
});
setInterval(() => {
  const share = process.memoryUsage().heapUsed / v8.getHeapStatistics().heap_size_limit;
  if (share > 0.9) console.warn(`heap at ${(100 * share).toFixed(0)} % of its limit`);
}, 30_000).unref();""",
    LanguageRuntime.JVM: """\
// Spring Boot has it: management.endpoints.web.exposure.include=health,metrics
// and GET /actuator/metrics/jvm.memory.used?tag=area:heap. Without Spring:
server.createContext("/health/memory", exchange -> {
    var heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
    var body = "{\\"heapUsed\\":%d,\\"heapMax\\":%d}"
        .formatted(heap.getUsed(), heap.getMax()).getBytes(UTF_8);
    exchange.sendResponseHeaders(heap.getUsed() > 0.9 * heap.getMax() ? 503 : 200, body.length);
    try (var out = exchange.getResponseBody()) { out.write(body); }
});""",
    LanguageRuntime.PYTHON: """\
import gc, resource

@app.get("/health/memory")
def memory() -> dict[str, int]:
    with open("/proc/self/statm") as file:
        rss = int(file.read().split()[1]) * resource.getpagesize()
    return {"rss": rss, "objects": len(gc.get_objects()), "uncollectable": len(gc.garbage)}""",
    LanguageRuntime.GO: """\
http.HandleFunc("/health/memory", func(w http.ResponseWriter, r *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	limit := debug.SetMemoryLimit(-1) // only reads it
	json.NewEncoder(w).Encode(map[string]int64{
		"heapUsed": int64(m.HeapAlloc), "sys": int64(m.Sys), "limit": limit,
	})
})""",
}
_CACHE: Final[Mapping[LanguageRuntime, str]] = {
    LanguageRuntime.NODE: """\
const { LRUCache } = require('lru-cache');
const users = new LRUCache({ max: 1000, ttl: 5 * 60_000 });  // entries, and how long each may stay""",
    LanguageRuntime.JVM: """\
Cache<Long, User> users = Caffeine.newBuilder()
    .maximumSize(1_000).expireAfterWrite(Duration.ofMinutes(5)).build();""",
    LanguageRuntime.PYTHON: """\
from cachetools import TTLCache, cached

@cached(TTLCache(maxsize=1000, ttl=300))  # entries, seconds
def user(user_id: int) -> User: ...""",
    LanguageRuntime.GO: """\
users := expirable.NewLRU[int64, User](1000, nil, 5*time.Minute) // hashicorp/golang-lru/v2/expirable""",
}
_STREAM: Final[Mapping[LanguageRuntime, str]] = {
    LanguageRuntime.NODE: """\
// node:stream/promises: rows pass by, none is kept
await pipeline(db.stream('SELECT …'), toJson, response);""",
    LanguageRuntime.JVM: """\
try (Stream<Row> rows = repository.streamAll()) { rows.forEach(row -> write(row, out)); }
// and a fetch size, or the driver loads all of them""",
    LanguageRuntime.PYTHON: """\
for row in connection.execution_options(yield_per=500).execute(query):  # and no list(…) around it
    write(row)""",
    LanguageRuntime.GO: """\
for rows.Next() { // and no append to a slice of everything
	encode(w, rows)
}""",
}


def code_advice(runtime: LanguageRuntime, judged: Judgement, lines: tuple[str, ...]) -> Iterator[CodeAdvice]:
    """What to change in the code, as far as the evidence calls for it.

    Args:
        runtime: The application's.
        judged: What is judged of its memory.
        lines: Lines of its log that speak of memory.
    """
    grows = judged.verdict in {Verdict.LEAK, Verdict.OOM_LOOP}
    said = " ".join(lines).lower()
    if runtime in _HEALTH:
        yield CodeAdvice(
            "health",
            "serve /health/memory",
            "The working set alone does not say whether the heap grows or what lies beside it. Do not make "
            "it the liveness probe: a restart at 90 % hides the leak and loses what is in flight.",
            _HEALTH[runtime],
        )
    if grows and runtime in _CACHE:
        yield CodeAdvice(
            "cache",
            "bound every cache",
            "Its floor rises without an end, as that of a cache does which is never emptied: a bound on "
            "entries and on their age makes it level off. A heap capture (h) says whether one is the cause.",
            _CACHE[runtime],
        )
    if runtime in _STREAM and (judged.verdict is Verdict.SPIKE or "large dataset" in said or "bulk" in said):
        yield CodeAdvice(
            "stream",
            "stream in place of loading everything",
            "Its memory jumps with the size of what it loads, or its log says so: rows that pass by one "
            "after the other need the memory of one.",
            _STREAM[runtime],
        )
    if grows:
        yield CodeAdvice(
            "forced-gc",
            "do not force collections",
            "The runtime collects before it fails by itself. A forced collection frees only what is garbage "
            "already, stops the program each time, and leaves a leak as it is; it is of use once, before a "
            "capture, to see what stays.",
            "",
        )
