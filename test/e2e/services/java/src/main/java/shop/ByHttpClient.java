package shop;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The JDK's own HttpClient: one selecting thread reads for all. */
final class ByHttpClient implements Way {
  private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  @Override
  public String answer(String rid, int calls) {
    List<CompletableFuture<String>> prices = IntStream.range(0, calls)
        .mapToObj(n -> send(request(rid, "price/" + n).GET())).collect(Collectors.toList());
    // The last call is made where the last answer comes in, not by the servlet's thread.
    return CompletableFuture.allOf(prices.toArray(CompletableFuture[]::new))
        .thenCompose(done -> send(request(rid, "total").POST(BodyPublishers.ofString("total of " + rid))))
        .thenApply(total -> String.format("{\"rid\":\"%s\",\"prices\":%s,\"total\":%s}", rid,
            prices.stream().map(CompletableFuture::join).collect(Collectors.toList()), total))
        .join();
  }

  private static HttpRequest.Builder request(String rid, String what) {
    return HttpRequest.newBuilder(URI.create(Shop.upstream() + "/" + what + "/" + rid)).header("X-Rid", rid);
  }

  private CompletableFuture<String> send(HttpRequest.Builder request) {
    return client.sendAsync(request.build(), BodyHandlers.ofString()).thenApply(HttpResponse::body);
  }
}
