// Java: the HTTP server of the JDK; a Spring controller takes @RequestBody byte[] the same way
import com.sun.net.httpserver.*;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.sql.*;

public class Bot {
    static int keep(byte[] body, String signature) {
        try (Connection db = DriverManager.getConnection(System.getenv("DATABASE_URL") != null ? System.getenv("DATABASE_URL")
                : "jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/postgres?user=app&connectTimeout=2");
             PreparedStatement call = db.prepareStatement("SELECT line_notify.receive_webhook(?, ?, ?)")) {
            call.setString(1, "shop");
            call.setBytes(2, body);
            call.setString(3, signature);
            call.execute();
            return 200;
        } catch (SQLException e) {
            // 28000: not from LINE.  Anything else: LINE shall deliver it again.
            return "28000".equals(e.getSQLState()) ? 401 : 503;
        }
    }

    public static void main(String[] args) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("BOT_PORT"))), 0);
        server.createContext("/webhook/line", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            int status = keep(body, exchange.getRequestHeaders().getFirst("x-line-signature"));
            byte[] answer = status == 200 ? bot(new String(body, StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8) : new byte[0];
            exchange.sendResponseHeaders(status, answer.length == 0 ? -1 : answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
    }

    // your bot; this one has no library for JSON
    static String bot(String json) {
        int from = json.indexOf("\"text\": \"", json.indexOf("quoteToken")) + 9;
        StringBuilder text = new StringBuilder();
        for (int i = from; json.charAt(i) != '"'; i++)
            text.append(json.charAt(i) == '\\' ? json.charAt(++i) : json.charAt(i));
        return text.toString();
    }
}
