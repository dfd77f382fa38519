// JDBC
import java.sql.*;
import java.util.*;

public class Jdbc {
    static Throwable batch(String url) throws Exception {
        try (Connection db = DriverManager.getConnection(url)) {
            PreparedStatement s = db.prepareStatement("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (?, 'high', 'reservation', 't')");
            s.setString(1, "090-8765-4321");
            s.addBatch();
            s.executeBatch();
            return null;
        } catch (SQLException e) {
            return e;
        }
    }

    public static void main(String[] args) throws Exception {
        try (Connection db = DriverManager.getConnection(Report.url())) {
            Report.line("version", "ok", db.getMetaData().getDriverVersion());

            db.setAutoCommit(false);
            ResultSet order = db.createStatement().executeQuery("INSERT INTO orders (phone) VALUES ('090-1234-5678') RETURNING id");
            order.next();
            // a jsonb parameter is said to be one; setString() alone is refused with 42804
            PreparedStatement insert = db.prepareStatement(
                "INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)"
                + " VALUES (?, ?, ?, ?::jsonb, ?, ?)", new String[] {"id", "state"});
            insert.setString(1, "090-1234-5678");
            insert.setString(2, "parcel_delivery");
            insert.setString(3, "shipment_completed_ja");
            insert.setString(4, "{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"1234\"}]}");
            insert.setString(5, order.getString(1));
            insert.setString(6, "jdbc " + order.getLong(1));
            insert.executeUpdate();
            ResultSet keys = insert.getGeneratedKeys();
            keys.next();
            long id = keys.getLong("id");
            String state = keys.getString("state");
            db.commit();
            Report.check("create", state.equals("queued") && id > 0);

            insert.executeUpdate();
            keys = insert.getGeneratedKeys();
            keys.next();
            Report.check("duplicate", keys.getLong("id") == id);

            for (String k : new String[] {"a", "b", "a"}) {
                insert.setString(6, "jdbc " + order.getLong(1) + " " + k);
                insert.addBatch();
            }
            insert.executeBatch();
            List<Long> ids = new ArrayList<>();
            for (keys = insert.getGeneratedKeys(); keys.next();)
                ids.add(keys.getLong("id"));
            Report.check("bulk with duplicate", ids.size() == 3 && ids.get(0).equals(ids.get(2)) && !ids.get(0).equals(ids.get(1)));

            PreparedStatement read = db.prepareStatement("SELECT state, reference, phone FROM line_notify.messages WHERE id = ?");
            read.setLong(1, id);
            ResultSet got = read.executeQuery();
            got.next();
            Report.check("read back", got.getString(1).equals("queued") && got.getString(2).equals(order.getString(1)) && got.getString(3) == null);

            ResultSet columns = db.getMetaData().getColumns(null, "line_notify", "messages", null);
            int n = 0, mandatory = 0;
            for (; columns.next(); n++)
                if (columns.getInt("NULLABLE") == DatabaseMetaData.columnNoNulls)
                    mandatory++;
            Report.check("introspect", n > 20 && mandatory == 0);

            insert = db.prepareStatement("INSERT INTO line_notify.messages (phone, use_case, template_key, batch) VALUES (?, 'parcel_delivery', 't', 'jdbc batch')");
            for (int i = 0; i < 100; i++) {
                insert.setString(1, String.format("090-1234-%04d", i));
                insert.addBatch();
            }
            insert.executeBatch();
            db.commit();
            ResultSet count = db.createStatement().executeQuery("SELECT count(*) FROM line_notify.messages WHERE batch = 'jdbc batch' AND state = 'queued'");
            count.next();
            Report.check("batch", count.getInt(1) == 100);

            // the outbox itself takes a String for its enum, too
            PreparedStatement outbox = db.prepareStatement("INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES (?, ?, 't')");
            outbox.setString(1, "090-1234-5678");
            outbox.setString(2, "parcel_delivery");
            outbox.executeUpdate();
            db.commit();

            try {
                outbox = db.prepareStatement("INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES (?, ?, 't')");
                outbox.setString(1, "090-8765-4321");
                outbox.setString(2, "reservatoin");
                outbox.executeUpdate();
            } catch (SQLException e) {
                Report.error(e);
            }
            db.rollback();
            Report.typo(batch(Report.url()), batch(Report.url() + "&logServerErrorDetail=false"), "of a batch: `logServerErrorDetail=false` in the URL");

            db.createStatement().executeUpdate("UPDATE line_notify.messages SET priority = 5 WHERE id = " + id);
            db.createStatement().executeUpdate("DELETE FROM line_notify.messages WHERE id = " + id);
            got = read.executeQuery();
            got.next();
            Report.check("cancel", got.getString(1).equals("cancelled"));
            db.commit();

            long other = ids.get(1);
            db.createStatement().executeQuery("SELECT expire(" + other + ")");
            Set<Long> fallback = new HashSet<>();

            // outcomes wait: line_notify.notify_outcomes = 'outcomes' in the server
            db.createStatement().execute("LISTEN outcomes");
            // a job: outcomes are gone when this commits, so act inside of the transaction
            ResultSet outcome = db.createStatement().executeQuery("SELECT id, state, reference FROM line_notify.take_outcomes(100)");
            while (outcome.next())
                fallback.add(outcome.getLong("id"));
            db.commit();

            db.createStatement().execute("NOTIFY outcomes");
            db.commit();
            Report.check("job", fallback.contains(other) && db.unwrap(org.postgresql.PGConnection.class).getNotifications(10000).length == 1);
        }
    }
}
