import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/**
 * Requests that are at work at a time, each of which is served by five calls: java Requests [client | handed [compiled] | begun] [litter] UPSTREAM. Three of them go
 * through a pool of four connections, two are HttpURLConnection's. A virtual thread serves a connection, and makes its calls itself; `handed`:
 * a thread does, and hands them to an executor's four, three of them at once; `compiled`: whose loop is compiled by then; `client`: it makes
 * them by java.net.http.HttpClient, three at once; `begun`: a virtual thread serves a connection, and begins one more for each call, and waits for it.
 *
 * Prints its port; when its standard input ends, it prints for each call "NUMBER NAME", which call was of which request, and ends.
 * `litter`: it makes so much garbage meanwhile that objects are moved all the time. java Requests idle: does nothing.
 *
 * Nothing in a call says whose it is: numbers of calls are handed out by a counter. Compiled by a JDK that may not have virtual threads yet.
 */
final class Requests {
  private static final int POOL = 4;
  /** Of HttpClient's at a time, at most. */
  private static final int CALLS = 48;
  /** Tasks after which the four's loop is compiled: HotSpot does so after some 60,000 rounds of it. */
  private static final int COMPILES = 600_000;
  private static final AtomicInteger numbers = new AtomicInteger(1000);
  private static final Map<Integer, String> whose = new ConcurrentHashMap<>();
  private static final BlockingQueue<Connection> pool = new LinkedBlockingQueue<>();
  private static final Object[] litter = new Object[1024];
  private static int port;
  /** Into whose hands calls are put. Null: each request's thread makes its calls itself. */
  private static ExecutorService hands;
  private static HttpClient client;

  private static final class Connection {
    final Socket socket;
    final BufferedReader reader;
    final OutputStream writer;

    Connection(Socket socket) throws IOException {
      this.socket = socket;
      reader = new BufferedReader(new InputStreamReader(socket.getInputStream()));
      writer = socket.getOutputStream();
    }

    /** The first line of a request or an answer; null at the end. */
    String head() throws IOException {
      String first = reader.readLine();
      int length = 0;
      for (String line = first; line != null && !line.isEmpty(); line = reader.readLine()) {
        if (line.toLowerCase().startsWith("content-length:")) length = Integer.parseInt(line.substring(15).trim());
      }
      for (int read = 0; read < length; read += 1) reader.read();
      return first;
    }

    void write(String text) throws IOException {
      writer.write(text.getBytes());
    }
  }

  private static int numberFor(String name) {
    int number = numbers.getAndIncrement();
    whose.put(number, name);
    return number;
  }

  private static void call(String name) throws Exception {
    Connection connection = pool.take();
    connection.write("GET /" + numberFor(name) + " HTTP/1.1\r\nHost: upstream\r\n\r\n");
    connection.head();
    pool.put(connection);
  }

  private static void callByUrl(String name) throws IOException {
    HttpURLConnection connection = (HttpURLConnection) new URL("http://127.0.0.1:" + port + "/" + numberFor(name)).openConnection();
    connection.getInputStream().readAllBytes();
  }

  private static void work(String name) throws Exception {
    call(name);
    call(name);
    callByUrl(name);
    Thread.sleep(2);
    call(name);
    callByUrl(name);
  }

  private static void handOver(String name) throws Exception {
    Callable<Void> pooled = () -> { call(name); return null; };
    Callable<Void> byUrl = () -> { callByUrl(name); return null; };
    for (Future<Void> done : List.of(hands.submit(pooled), hands.submit(byUrl), hands.submit(pooled))) done.get();
    Thread.sleep(2);
    hands.submit(byUrl).get();
    hands.submit(pooled).get();
  }

  private static CompletableFuture<?> callByClient(int number) {
    return client.sendAsync(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/" + number)).build(), BodyHandlers.ofString());
  }

  private static void workByClient(String name) throws Exception {
    CompletableFuture.allOf(callByClient(numberFor(name)), callByClient(numberFor(name)), callByClient(numberFor(name))).join();
    Thread.sleep(2);
    callByClient(numberFor(name)).join();
    callByClient(numberFor(name)).join();
  }

  private static void serve(Socket socket) {
    try (socket) {
      Connection connection = new Connection(socket);
      for (String line = connection.head(); line != null; line = connection.head()) {
        String name = line.split(" ")[1].substring(1);
        if (client != null) workByClient(name);
        else if (hands == null) work(name);
        else handOver(name);
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
      }
    } catch (Exception error) {
      error.printStackTrace();
    }
  }

  private static void litter() {
    for (int at = 0; ; at = (at + 1) % litter.length) litter[at] = new byte[8_192 + at];
  }

  public static void main(String[] args) throws Exception {
    if (args[0].equals("idle")) {
      System.out.println("idle");
      System.in.readAllBytes();
      return;
    }
    port = Integer.parseInt(args[args.length - 1]);
    for (int n = 0; n < POOL; n += 1) pool.put(new Connection(new Socket("127.0.0.1", port)));
    ServerSocket server = new ServerSocket(0, 64, InetAddress.getByName("127.0.0.1"));
    if (has(args, "handed")) {
      ThreadPoolExecutor fixed = new ThreadPoolExecutor(4, 4, 1, TimeUnit.MINUTES, new LinkedBlockingQueue<>());
      fixed.prestartAllCoreThreads();
      hands = fixed;
      if (has(args, "compiled")) for (int n = 0; n < COMPILES; n += 1) fixed.submit(() -> { }).get();
    }
    if (has(args, "begun")) hands = (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    if (has(args, "client")) {
      client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
      // Its threads live on: such as are begun in a request would be taken for that one's.
      CompletableFuture.allOf(IntStream.range(0, CALLS).mapToObj(n -> callByClient(0)).toArray(CompletableFuture[]::new)).join();
    }
    ExecutorService servers = hands instanceof ThreadPoolExecutor || client != null ? Executors.newCachedThreadPool() : (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    servers.submit(() -> System.out.println(server.getLocalPort())).get();
    if (has(args, "litter")) daemon(Requests::litter);
    daemon(() -> {
      while (true) {
        try {
          Socket socket = server.accept();
          servers.submit(() -> serve(socket));
        } catch (IOException error) {
          return;
        }
      }
    });
    System.in.readAllBytes();
    whose.forEach((number, name) -> System.out.println(number + " " + name));
    System.out.flush();
    Runtime.getRuntime().halt(0);
  }

  private static boolean has(String[] args, String word) {
    return List.of(args).contains(word);
  }

  private static void daemon(Runnable work) {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    thread.start();
  }
}
