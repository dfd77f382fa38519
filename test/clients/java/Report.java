import java.sql.*;

class Report {
    static void line(String check, String result, Object detail) {
        System.out.println(check + "\t" + result + "\t" + String.valueOf(detail).replaceAll("\\s+", " "));
    }

    static void check(String name, boolean good) {
        line(name, good ? "ok" : "FAIL", "");
    }

    static void error(Throwable e) {
        String words = "";
        for (Throwable t = e; t != null; t = t.getCause())
            words += t.getMessage() + " ";
        check("error", words.contains("unknown use case") && words.contains("reservation"));
        line("number shown", words.replaceAll("\\D", "").contains("87654321") ? "yes" : "no", words);
    }

    static String url() {
        return "jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/postgres?user=app";
    }
}
