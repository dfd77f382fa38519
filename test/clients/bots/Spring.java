// Spring MVC, with JdbcTemplate, in Jetty
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.springframework.dao.DataAccessException;
import org.springframework.http.ResponseEntity;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.web.bind.annotation.*;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.mvc.method.annotation.*;

public class Spring {
    @RestController
    public static class Webhook {
        private final JdbcTemplate db = new JdbcTemplate(new DriverManagerDataSource(
            "jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/postgres?user=app&connectTimeout=2"), true);

        @PostMapping("/webhook/line")
        public ResponseEntity<byte[]> call(@RequestBody byte[] body, @RequestHeader("x-line-signature") String signature) {
            try {
                db.queryForObject("SELECT line_notify.receive_webhook(?, ?, ?)", Integer.class, "shop", body, signature);
            } catch (DataAccessException e) {
                // 28000: not from LINE.  Anything else: LINE shall deliver it again.
                Throwable cause = e.getRootCause();
                boolean foreign = cause instanceof SQLException && "28000".equals(((SQLException) cause).getSQLState());
                return ResponseEntity.status(foreign ? 401 : 503).build();
            }
            return ResponseEntity.ok(Bot.bot(new String(body, StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8));     // your bot
        }
    }

    public static void main(String[] args) throws Exception {
        AnnotationConfigWebApplicationContext context = new AnnotationConfigWebApplicationContext();
        context.register(Webhook.class, RequestMappingHandlerMapping.class, RequestMappingHandlerAdapter.class);
        ServletContextHandler handler = new ServletContextHandler();
        ServletHolder servlet = new ServletHolder(new DispatcherServlet(context));
        servlet.setInitOrder(1);
        handler.addServlet(servlet, "/");
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(System.getenv("BOT_PORT")));
        server.addConnector(connector);
        server.setHandler(handler);
        server.start();
    }
}
