package shop;

import io.lettuce.core.RedisClient;
import io.lettuce.core.api.async.RedisAsyncCommands;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Lettuce: all threads share one connection, whose netty thread writes and reads for them. */
final class ByLettuce implements Way {
  private final RedisAsyncCommands<String, String> redis =
      RedisClient.create("redis://127.0.0.1:" + Shop.environment("SHOP_REDIS_PORT")).connect().async();

  @Override
  public String answer(String rid, int calls) {
    all(calls, n -> redis.set("price:" + n + ":" + rid, String.valueOf(ThreadLocalRandom.current().nextInt(100_000, 1_000_000))));
    return String.format("{\"rid\":\"%s\",\"prices\":%s}", rid, all(calls, n -> redis.get("price:" + n + ":" + rid)));
  }

  /** Side by side. */
  private static List<String> all(int calls, IntFunction<CompletionStage<String>> call) {
    List<CompletableFuture<String>> answers = IntStream.range(0, calls).mapToObj(n -> call.apply(n).toCompletableFuture()).collect(Collectors.toList());
    return answers.stream().map(CompletableFuture::join).collect(Collectors.toList());
  }
}
