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

    /** Another column is wrong: does what a logger prints show the number?  What to do instead? */
    static void typo(Throwable plain, Throwable hidden, String how) {
        line("typo", said(plain), "");
        line("typo hidden", said(hidden), how);
    }

    static String said(Throwable e) {
        String words = "";
        for (Throwable t = e; t != null; t = t.getCause()) {
            words += t + " ";
            for (SQLException s = t instanceof SQLException ? ((SQLException) t).getNextException() : null; s != null; s = s.getNextException())
                words += s + " ";
        }
        return words.replaceAll("\\D", "").contains("87654321") ? "shows" : "does not show";
    }

    static String url() {
        return "jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/postgres?user=app";
    }
}
