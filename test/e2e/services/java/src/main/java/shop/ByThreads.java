package shop;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.commons.pool2.impl.GenericObjectPoolConfig;
import redis.clients.jedis.JedisPooled;

/** Calls that hold their thread until they are answered: JDBC, HttpURLConnection, Jedis, from pools smaller than the load. */
final class ByThreads implements Way {
  private static final int CONNECTIONS = 4;
  private final Hand hand;
  private final JedisPooled redis;
  private final HikariDataSource sql;

  /** `name`: of the hands that its calls are put into. */
  ByThreads(String name) throws Exception {
    hand = Hand.of(name);
    GenericObjectPoolConfig<redis.clients.jedis.Connection> pool = new GenericObjectPoolConfig<>();
    pool.setMaxTotal(CONNECTIONS);
    redis = new JedisPooled(pool, "127.0.0.1", Integer.parseInt(Shop.environment("SHOP_REDIS_PORT")));
    // While one makes a connection, virtual threads that wait for it spin in commons-pool 2.12 and leave it no carrier.
    if (Hand.virtualThreads(name) != null) redis.getPool().addObjects(CONNECTIONS);
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(Shop.environment("SHOP_PG"));
    config.setMaximumPoolSize(CONNECTIONS);
    config.setMinimumIdle(0);
    // It finds out what its driver can do with a first connection. Those that are used are made when they are asked for.
    sql = new HikariDataSource(config);
    sql.getHikariPoolMXBean().softEvictConnections();
  }

  @Override
  public String answer(String rid, int calls) throws Exception {
    List<Callable<String>> first = new ArrayList<>();
    for (int n = 0; n < calls; n += 1) {
      String what = "price/" + n;
      first.add(() -> fetch(rid, what, null));
    }
    first.add(() -> redis.set("seen:" + rid, "1"));
    first.add(() -> query("insert into orders (rid, price) values (?, 1) returning id", rid));
    List<String> answers = hand.all(first);
    String order = answers.get(calls + 1);
    List<String> then = hand.all(List.of(
        () -> redis.get("seen:" + rid),
        () -> query("select price from orders where rid = ?", rid),
        () -> fetch(rid, "total", "order " + order)));
    return String.format("{\"rid\":\"%s\",\"prices\":%s,\"order\":%s,\"total\":%s}", rid, answers.subList(0, calls), order, then.get(2));
  }

  private String query(String statement, String rid) throws SQLException {
    try (Connection connection = sql.getConnection(); PreparedStatement prepared = connection.prepareStatement(statement)) {
      prepared.setString(1, rid);
      try (ResultSet rows = prepared.executeQuery()) {
        rows.next();
        return rows.getString(1);
      }
    }
  }

  /** A GET, or a POST where there is a body; read to its end, so that the connection is used again. */
  private static String fetch(String rid, String what, String body) throws IOException {
    HttpURLConnection call = (HttpURLConnection) new URL(Shop.upstream() + "/" + what + "/" + rid).openConnection();
    call.setRequestProperty("X-Rid", rid);
    if (body != null) {
      call.setDoOutput(true);
      try (OutputStream out = call.getOutputStream()) {
        out.write(body.getBytes(StandardCharsets.UTF_8));
      }
    }
    try (InputStream in = call.getInputStream()) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
