// A thread for each client hands its calls to one pool, as FutureTasks, and waits for them. For bench/handed-over.ts.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class Handed {
  static final int UPSTREAM = Integer.parseInt(System.getenv("HANDED_UPSTREAM_PORT"));

  static void fetch(String rid, int n) {
    try (Socket socket = new Socket("127.0.0.1", UPSTREAM)) {
      socket.getOutputStream().write(("GET /price/" + rid + "/" + n + " HTTP/1.1\r\nHost: u\r\nX-Rid: " + rid + "\r\nConnection: close\r\n\r\n").getBytes());
      socket.getInputStream().readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void serve(Socket client, ExecutorService pool) {
    try {
      BufferedReader in = new BufferedReader(new InputStreamReader(client.getInputStream()));
      for (String line; (line = in.readLine()) != null; ) {
        String path = line.split(" ")[1];
        while (!in.readLine().isEmpty()) continue;
        String rid = path.split("/")[2].split("\\?")[0];
        int calls = Integer.parseInt(path.split("calls=")[1]);
        List<Future<?>> handed = new ArrayList<>();
        for (int n = 0; n < calls; n++) {
          int one = n;
          handed.add(pool.submit(() -> fetch(rid, one)));
        }
        for (Future<?> one : handed) one.get();
        client.getOutputStream().write(("HTTP/1.1 200 OK\r\nContent-Length: " + path.length() + "\r\n\r\n" + path).getBytes());
      }
    } catch (Exception e) {
      System.err.println(e);
    }
  }

  public static void main(String[] arguments) throws IOException {
    ExecutorService pool = Executors.newFixedThreadPool(Integer.parseInt(System.getenv("HANDED_POOL")));
    ServerSocket server = new ServerSocket(Integer.parseInt(System.getenv("HANDED_PORT")), 64, InetAddress.getByName("127.0.0.1"));
    while (true) {
      Socket client = server.accept();
      client.setTcpNoDelay(true);
      new Thread(() -> serve(client, pool)).start();
    }
  }
}
