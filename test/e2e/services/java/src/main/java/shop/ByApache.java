package shop;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.hc.client5.http.async.methods.SimpleHttpRequest;
import org.apache.hc.client5.http.async.methods.SimpleHttpResponse;
import org.apache.hc.client5.http.async.methods.SimpleRequestBuilder;
import org.apache.hc.client5.http.impl.async.CloseableHttpAsyncClient;
import org.apache.hc.client5.http.impl.async.HttpAsyncClients;
import org.apache.hc.client5.http.impl.nio.PoolingAsyncClientConnectionManagerBuilder;
import org.apache.hc.core5.concurrent.FutureCallback;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.reactor.IOReactorConfig;

/** Apache HttpAsyncClient: two reactor threads write and read for all, over four connections. */
final class ByApache implements Way {
  private final CloseableHttpAsyncClient client = HttpAsyncClients.custom()
      .setIOReactorConfig(IOReactorConfig.custom().setIoThreadCount(2).build())
      .setConnectionManager(PoolingAsyncClientConnectionManagerBuilder.create().setMaxConnPerRoute(4).setMaxConnTotal(4).build())
      .build();

  ByApache() {
    client.start();
  }

  @Override
  public String answer(String rid, int calls) {
    List<CompletableFuture<String>> prices = IntStream.range(0, calls)
        .mapToObj(n -> send(SimpleRequestBuilder.get(Shop.upstream() + "/price/" + n + "/" + rid), rid)).collect(Collectors.toList());
    return CompletableFuture.allOf(prices.toArray(CompletableFuture[]::new))
        .thenCompose(done -> send(SimpleRequestBuilder.post(Shop.upstream() + "/total/" + rid).setBody("total of " + rid, ContentType.TEXT_PLAIN), rid))
        .thenApply(total -> String.format("{\"rid\":\"%s\",\"prices\":%s,\"total\":%s}", rid,
            prices.stream().map(CompletableFuture::join).collect(Collectors.toList()), total))
        .join();
  }

  private CompletableFuture<String> send(SimpleRequestBuilder request, String rid) {
    SimpleHttpRequest made = request.addHeader("X-Rid", rid).build();
    CompletableFuture<String> answer = new CompletableFuture<>();
    client.execute(made, new FutureCallback<SimpleHttpResponse>() {
      @Override
      public void completed(SimpleHttpResponse response) {
        answer.complete(response.getBodyText());
      }

      @Override
      public void failed(Exception error) {
        answer.completeExceptionally(error);
      }

      @Override
      public void cancelled() {
        answer.cancel(false);
      }
    });
    return answer;
  }
}
