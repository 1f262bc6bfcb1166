// A thread for each client hands its calls to one pool and waits for them, in one of several ways. For bench/handed-over.ts.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionHandler;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

public class Handed {
  static final int UPSTREAM = Integer.parseInt(System.getenv("HANDED_UPSTREAM_PORT"));
  static final int POOL = Integer.parseInt(System.getenv("HANDED_POOL"));
  /** How a request's thread waits: get, invokeAll, join, latch; how much a task does: two; what else is waited for: bounded, shared, mixed, locked. */
  static final String WAY = System.getenv("HANDED_WAY");
  static final BlockingQueue<Kept> KEPT = new ArrayBlockingQueue<>(4);

  /** A connection that is used again. */
  static class Kept {
    final Socket socket;
    final InputStream in;

    Kept() {
      try {
        socket = new Socket("127.0.0.1", UPSTREAM);
        socket.setTcpNoDelay(true);
        in = socket.getInputStream();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    void fetch(String rid, int n) throws IOException {
      socket.getOutputStream().write(("GET /price/" + rid + "/" + n + " HTTP/1.1\r\nHost: u\r\nX-Rid: " + rid + "\r\n\r\n").getBytes());
      StringBuilder head = new StringBuilder();
      byte[] got = new byte[4096];
      while (head.indexOf("\r\n\r\n") < 0) head.append(new String(got, 0, in.read(got)));
      int end = head.indexOf("\r\n\r\n") + 4;
      String lower = head.toString().toLowerCase();
      int at = lower.indexOf("content-length:") + 15;
      int left = Integer.parseInt(lower.substring(at, lower.indexOf("\r\n", at)).trim()) - (head.length() - end);
      while (left > 0) left -= in.read(got);
    }
  }

  static boolean keeps() {
    return WAY.equals("shared") || WAY.equals("mixed") || WAY.equals("locked");
  }

  static String fetch(String rid, int n) {
    try {
      if (WAY.equals("locked")) {
        Kept one = KEPT.peek();
        synchronized (one) {
          one.fetch(rid, n);
        }
      } else if (keeps()) {
        Kept one = KEPT.take();
        try {
          one.fetch(rid, n);
        } finally {
          KEPT.add(one);
        }
      } else {
        try (Socket socket = new Socket("127.0.0.1", UPSTREAM)) {
          socket.getOutputStream().write(("GET /price/" + rid + "/" + n + " HTTP/1.1\r\nHost: u\r\nX-Rid: " + rid + "\r\nConnection: close\r\n\r\n").getBytes());
          socket.getInputStream().readAllBytes();
        }
      }
      return rid;
    } catch (Exception e) {
      throw new RuntimeException(e);
    }
  }

  static void work(String rid, int calls, ExecutorService pool) throws Exception {
    int from = 0;
    // These make their first call themselves, over the connections that the pool's threads use.
    if (WAY.equals("mixed") || WAY.equals("locked")) fetch(rid, from++);
    List<Callable<String>> tasks = new ArrayList<>();
    for (int n = from; n < calls; n++) {
      int one = n;
      tasks.add(() -> {
        if (WAY.equals("two")) fetch(rid, one + 10);
        return fetch(rid, one);
      });
    }
    if (WAY.equals("invokeAll")) {
      pool.invokeAll(tasks);
    } else if (WAY.equals("join")) {
      List<CompletableFuture<String>> handed = new ArrayList<>();
      for (Callable<String> task : tasks) handed.add(CompletableFuture.supplyAsync(() -> {
        try {
          return task.call();
        } catch (Exception e) {
          throw new RuntimeException(e);
        }
      }, pool));
      CompletableFuture.allOf(handed.toArray(new CompletableFuture<?>[0])).join();
    } else if (WAY.equals("latch")) {
      CountDownLatch latch = new CountDownLatch(tasks.size());
      for (Callable<String> task : tasks) pool.submit(() -> {
        try {
          return task.call();
        } finally {
          latch.countDown();
        }
      });
      latch.await();
    } else {
      List<Future<String>> handed = new ArrayList<>();
      for (Callable<String> task : tasks) handed.add(pool.submit(task));
      for (Future<String> one : handed) one.get();
    }
  }

  static void serve(Socket client, ExecutorService pool) {
    try {
      BufferedReader in = new BufferedReader(new InputStreamReader(client.getInputStream()));
      for (String line; (line = in.readLine()) != null; ) {
        String path = line.split(" ")[1];
        while (!in.readLine().isEmpty()) continue;
        String rid = path.split("/")[2].split("\\?")[0];
        work(rid, Integer.parseInt(path.split("calls=")[1]), pool);
        client.getOutputStream().write(("HTTP/1.1 200 OK\r\nContent-Length: " + path.length() + "\r\n\r\n" + path).getBytes());
      }
    } catch (Exception e) {
      e.printStackTrace();
    }
  }

  public static void main(String[] arguments) throws IOException {
    if (keeps()) for (int n = 0; n < (WAY.equals("locked") ? 1 : 4); n++) KEPT.add(new Kept());
    BlockingQueue<Runnable> queue = WAY.equals("bounded") ? new ArrayBlockingQueue<>(2) : new LinkedBlockingQueue<>();
    // A full queue makes who hands something over wait.
    RejectedExecutionHandler wait = (task, pool) -> {
      try {
        pool.getQueue().put(task);
      } catch (InterruptedException e) {
        throw new RuntimeException(e);
      }
    };
    ExecutorService pool = new ThreadPoolExecutor(POOL, POOL, 0, TimeUnit.SECONDS, queue, wait);
    ServerSocket server = new ServerSocket(Integer.parseInt(System.getenv("HANDED_PORT")), 64, InetAddress.getByName("127.0.0.1"));
    while (true) {
      Socket client = server.accept();
      client.setTcpNoDelay(true);
      new Thread(() -> serve(client, pool)).start();
    }
  }
}
