import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;

/** One program for each way a JVM leaks, and healthy ones; about 0.3 MiB a second, 200 steps a second. */
public class Leaks {
  static class Session { final String user; final long[] tags = new long[150]; Session(int i) { user = "user-" + i; } }
  static class SessionCache { final Map<String, Session> sessions = new HashMap<>(); }
  static final SessionCache CACHE = new SessionCache();
  interface Listener { void changed(int i); }
  static class PriceListener implements Listener { final long[] seen = new long[150]; public void changed(int i) { seen[i % 150]++; } }
  static class Bus { final List<Listener> listeners = new ArrayList<>(); }
  static final Bus BUS = new Bus();
  static class RequestContext { final long[] data = new long[4000]; }
  static final ThreadLocal<RequestContext> CONTEXT = new ThreadLocal<>();
  static final List<ByteBuffer> BUFFERS = new ArrayList<>();

  static void step(String kind, int i) throws Exception {
    switch (kind) {
      case "map" -> CACHE.sessions.put("k" + i, new Session(i));
      case "listener" -> { BUS.listeners.add(new PriceListener()); BUS.listeners.get(0).changed(i); }
      case "thread-local" -> {
        if (i % 20 == 0) {
          Thread t = new Thread(() -> { CONTEXT.set(new RequestContext()); try { Thread.sleep(Long.MAX_VALUE); } catch (InterruptedException e) { } }, "worker-" + i);
          t.setDaemon(true); t.start();
        }
      }
      case "direct" -> { if (i % 20 == 0) { ByteBuffer b = ByteBuffer.allocateDirect(32 << 10); for (int at = 0; at < b.capacity(); at += 4096) b.put(at, (byte) 1); BUFFERS.add(b); } }
      case "garbage" -> { for (int n = 0; n < 20; n++) new Session(n).user.length(); }
      case "bounded" -> { CACHE.sessions.put("k" + i % 500, new Session(i)); }
      case "pool" -> POOL.submit(() -> new Session(1)).get();
      default -> throw new IllegalArgumentException(kind);
    }
  }
  static final ExecutorService POOL = Executors.newFixedThreadPool(4, r -> { Thread t = new Thread(r); t.setDaemon(true); return t; });

  public static void main(String[] words) throws Exception {
    System.out.println("ready");
    for (int i = 0; ; i++) { step(words[0], i); Thread.sleep(5); }
  }
}
