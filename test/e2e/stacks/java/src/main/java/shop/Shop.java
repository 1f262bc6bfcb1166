// The shop on Spring Boot: Tomcat's threads, HikariCP, PostgreSQL's JDBC driver (named statements and binary results from the third use on).
package shop;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.dao.DataAccessException;
import org.springframework.http.ResponseEntity;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Shop {
  private static final String[] CHANGES = {"", "rename", "add", "drop", "parameter", "reorder", "twice", "status", "", ""};
  private final JdbcTemplate sql;
  private final TransactionTemplate transaction;

  Shop(JdbcTemplate sql, TransactionTemplate transaction) {
    this.sql = sql;
    this.transaction = transaction;
    sql.queryForObject("select count(*) from users", Integer.class);
  }

  public static void main(String[] arguments) {
    SpringApplication.run(Shop.class, arguments);
  }

  private static String sign(int id) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec("key of the shop".getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
      return id + "." + HexFormat.of().formatHex(mac.doFinal(String.valueOf(id).getBytes(StandardCharsets.UTF_8)));
    } catch (java.security.GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  record Credentials(String name, String secret) {}

  record Wanted(int item, int quantity) {}

  @PostMapping("/login")
  ResponseEntity<Map<String, Object>> login(@RequestBody Credentials asked) {
    List<Map<String, Object>> found = sql.queryForList("select id, secret, since from users where name = ?", asked.name());
    if (found.isEmpty() || !found.get(0).get("secret").equals(asked.secret())) return ResponseEntity.status(401).body(Map.of("error", "who?"));
    int id = (Integer) found.get(0).get("id");
    return ResponseEntity.ok(ordered("token", sign(id), "since", found.get(0).get("since").toString()));
  }

  private Map<String, Object> whoIs(String header) {
    String token = header.substring("Bearer ".length());
    int id = Integer.parseInt(token.split("\\.")[0]);
    if (!sign(id).equals(token)) throw new IllegalArgumentException("who?");
    return sql.queryForMap("select id, name, credit, rate from users where id = ?", id);
  }

  @GetMapping("/orders/{n}")
  ResponseEntity<Map<String, Object>> order(@PathVariable int n, @RequestHeader("Authorization") String header) {
    String change = "yes".equals(System.getenv("SHOP_CHANGE")) ? CHANGES[n % 10] : "";
    Map<String, Object> user = whoIs(header);
    Map<String, Object> item;
    long sold;
    if (change.equals("reorder")) {
      sold = sold(n);
      item = item(n);
    } else {
      item = item(n);
      sold = sold(n);
    }
    if (change.equals("add")) tolerant(() -> sql.queryForObject("select count(*) as dearer from items where price > ?", Long.class, item.get("price")));
    List<Map<String, Object>> left = change.equals("drop") ? List.of()
        : sql.queryForList("select name, price from items where price > ? and weight < ? order by id limit 3", 100 + n % 50 + (change.equals("parameter") ? 1 : 0), 50.5);
    if (change.equals("twice")) tolerant(() -> sold(n));
    return ResponseEntity.status(change.equals("status") ? 203 : 200)
        .body(ordered("n", n, "user", user, change.equals("rename") ? "what" : "item", item, "sold", sold, "left", left));
  }

  private Map<String, Object> item(int n) {
    return sql.queryForMap("select id, name, price, weight from items where id = ?", n % 50);
  }

  private long sold(int n) {
    return sql.queryForObject("select count(*) as sold from placed where item = ?", Long.class, n % 50);
  }

  private static void tolerant(Runnable call) {
    try {
      call.run();
    } catch (DataAccessException e) {
      System.err.println(e.getMessage());
    }
  }

  @PostMapping("/orders")
  ResponseEntity<Map<String, Object>> place(@RequestBody Wanted asked, @RequestHeader("Authorization") String header) {
    Map<String, Object> user = whoIs(header);
    Integer id = transaction.execute(status -> sql.queryForObject("insert into placed (person, item, quantity) values (?, ?, ?) returning id", Integer.class,
        user.get("id"), asked.item(), asked.quantity()));
    return ResponseEntity.status(201).body(ordered("id", id));
  }

  private static Map<String, Object> ordered(Object... pairs) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int at = 0; at < pairs.length; at += 2) map.put((String) pairs[at], pairs[at + 1]);
    return map;
  }
}
