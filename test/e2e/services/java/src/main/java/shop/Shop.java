package shop;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpFilter;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executor;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;

/** A servlet behind a filter, on Tomcat. Its calls go out in the way that SHOP_WAY names. */
public final class Shop {
  static String environment(String name) {
    return System.getenv(name);
  }

  static String upstream() {
    return "http://127.0.0.1:" + environment("SHOP_UPSTREAM_PORT");
  }

  private static Way way(String name) throws Exception {
    switch (name) {
      case "http-client": return new ByHttpClient();
      case "apache-async": return new ByApache();
      case "lettuce": return new ByLettuce();
      default: return new ByThreads(name);
    }
  }

  /** Keeps for whom the thread works, as filters for logs and traces do. */
  private static final class Named extends HttpFilter {
    static final ThreadLocal<String> RID = new InheritableThreadLocal<>();

    @Override
    protected void doFilter(HttpServletRequest request, HttpServletResponse response, FilterChain chain) throws IOException, ServletException {
      RID.set(request.getHeader("X-Rid"));
      try {
        chain.doFilter(request, response);
      } finally {
        RID.remove();
      }
    }
  }

  private static final class Work extends HttpServlet {
    private final transient Way way;

    Work(Way way) {
      this.way = way;
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
      String answer;
      try {
        answer = way.answer(Named.RID.get(), Integer.parseInt(request.getParameter("calls")));
      } catch (Exception error) {
        error.printStackTrace();
        response.setStatus(500);
        answer = error.toString();
      }
      byte[] body = answer.getBytes(StandardCharsets.UTF_8);
      response.setContentType("application/json");
      response.setContentLength(body.length);
      response.getOutputStream().write(body);
    }
  }

  public static void main(String[] args) throws Exception {
    String name = environment("SHOP_WAY");
    File here = new File("").getAbsoluteFile();
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(here.getPath());
    Connector connector = new Connector();
    connector.setPort(Integer.parseInt(environment("SHOP_PORT")));
    connector.setProperty("address", "127.0.0.1");
    connector.setProperty("maxThreads", "16");
    Executor virtual = Hand.virtualThreads(name);
    if (virtual != null) connector.getProtocolHandler().setExecutor(virtual);
    tomcat.setConnector(connector);
    Context context = tomcat.addContext("", here.getPath());
    FilterDef filter = new FilterDef();
    filter.setFilterName("named");
    filter.setFilter(new Named());
    context.addFilterDef(filter);
    FilterMap everywhere = new FilterMap();
    everywhere.setFilterName("named");
    everywhere.addURLPattern("/*");
    context.addFilterMap(everywhere);
    Tomcat.addServlet(context, "work", new Work(way(name)));
    context.addServletMappingDecoded("/work/*", "work");
    tomcat.start();
    tomcat.getServer().await();
  }
}
